"""The person's own detail: wrinkles as displacement in the head's atlas, which come and go with the skin's tension."""
