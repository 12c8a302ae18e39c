"""A take's head that moves as a face does at this moment: a camera, a played video or Live Link Face drives it.

Not to be mixed up with ``live`` (the preview of a take that is tracked) and with the *Live* of *Retarget* (drivers).
"""
