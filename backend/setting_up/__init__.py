"""What ``backend/bootstrap.py`` is made of: the standard library only, and nothing newer than Python 3.8's syntax."""
