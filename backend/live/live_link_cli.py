"""The part of ``flowface live`` that listens to Live Link Face: its session with or without a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from backend.live.live_link import PORT

if TYPE_CHECKING:
    from backend.live.types import Session
    from protocol.live import LiveCommand
    from protocol.message import Message


def run_live_link(
    port: int = PORT, bind: str = "", subject: str = "", client: str = "", parent: int | None = None
) -> int:
    """Listen to Live Link Face for a client, or without one say in the terminal what comes; returns an exit status.

    ``client`` is the client's public key, "" for none; see ``door.serve``.

    Raises:
        UserError: the port cannot be had, ``bind`` or ``client`` is none.
    """
    from backend.live.live_link_receiver import LOOPBACK, LiveLinkReceiver
    from backend.live.live_link_session import LiveLinkSession

    def make() -> Session:
        return LiveLinkSession(LiveLinkReceiver(port, bind or LOOPBACK, subject))

    if client:
        from backend.live.door import serve

        return serve(client, parent, make)
    make().run(_Terminal())
    return 0


class _Terminal:
    """An outlet that says in lines where the session stands, until Ctrl-C."""

    def send(self, message: Message) -> None:
        """Print what states say."""
        from protocol.live import LiveState

        if isinstance(message, LiveState):
            typer.echo(f"{message.phase}: {message.sentence} {message.hint}".rstrip())

    def command(self) -> LiveCommand | None:
        """None is given in a terminal."""
        return None
