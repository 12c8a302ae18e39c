"""The footage as a picture on the head's atlas."""
