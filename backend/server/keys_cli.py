"""``flowface keys …``: who may use this user's backends from other machines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Annotated

import typer

from backend.errors import ErrorCode, UserError
from protocol import keys as k
from protocol.codec import ProtocolError

app = typer.Typer(help="Keys: who may use this user's backend from another machine.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What to call the client: letters, digits, spaces and .@-.")]


@app.command()
def new(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the key into this new file, which only you can read.")
    ] = None,
) -> None:
    """Make a key for a client on another machine and trust it. It is shown once, or written, and kept nowhere here."""
    from backend.server.keys import KeyRing, keys_folder

    ring = KeyRing(keys_folder())
    if out is None:
        typer.echo(ring.new_client(name))
        return
    with _new_file(out) as file:
        try:
            file.write(f"{ring.new_client(name)}\n")
        except BaseException:
            out.unlink()
            raise
    typer.echo(f"The key of “{name}” is in {out}: bring it to the client, and use it there with --key.")


@app.command()
def show() -> None:
    """Print the public keys of this user's backends and clients, and whom they trust; never a secret."""
    from backend.server.keys import KeyRing, keys_folder

    ring = KeyRing(keys_folder())
    typer.echo(f"backend  {k.public_text(ring.backend.public)}")
    typer.echo(f"client   {k.public_text(ring.own_client.public)}")
    for client in ring.trusted():
        typer.echo(f"trusted  {k.public_text(client.public)}  {client.name}, since {client.since}")


@app.command()
def trust(
    name: Name,
    key: Annotated[str, typer.Argument(help="The client's public key, as “flowface keys show” prints it there.")],
) -> None:
    """Trust the key that a client on another machine has of its own, whose secret need not leave that machine."""
    from backend.server.keys import KeyRing, keys_folder

    try:
        public = k.public_from_text(key)
    except ProtocolError as error:
        raise UserError(ErrorCode.BAD_KEYS, error.message, error.hint) from error
    ring = KeyRing(keys_folder())
    ring.trust(name, public)
    typer.echo(f"“{name}” is trusted. It needs this backend's key: --key {k.public_text(ring.backend.public)}")


@app.command()
def revoke(name: Name) -> None:
    """Trust a client no longer; what it has running here is told nobody any more, and its connections end."""
    from backend.server.keys import KeyRing, keys_folder

    KeyRing(keys_folder()).revoke(name)
    typer.echo(f"“{name}” is trusted no longer.")


def _new_file(path: Path) -> IO[str]:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii")
    except OSError as error:
        raise UserError(
            ErrorCode.OUTPUT_UNWRITABLE, f"The key cannot be written to {path}: {error.strerror}.", "Name a new file."
        ) from error
