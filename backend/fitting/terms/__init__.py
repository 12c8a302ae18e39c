"""The terms of the energy (seeds/001 eq. 12) and their derivatives."""
