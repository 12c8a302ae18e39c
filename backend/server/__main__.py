"""``python -m backend.server``: what ``flowface serve`` runs, without loading the other commands."""

import typer

from backend.server.cli import serve

if __name__ == "__main__":
    typer.run(serve)
