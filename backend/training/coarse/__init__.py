"""A coarse regressor: one picture of a face to the coefficients of the open head (seeds/004, supplement §6.1)."""
