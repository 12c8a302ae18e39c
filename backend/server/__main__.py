"""``python -m backend.server``: what ``flowface serve`` runs, without loading the other commands.

``python -m backend.server check`` runs what ``flowface check`` does.
"""

import sys

import typer

from backend.server.cli import check, serve

if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        del sys.argv[1]
        typer.run(check)
    else:
        typer.run(serve)
