"""The command-line client: what is asked of a backend and what is done with its answer."""
