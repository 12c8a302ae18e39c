"""What takes too long for every run of the tests, soaks and floods: each is a command that prints its figures."""
