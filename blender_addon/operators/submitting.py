"""What operators have in common that give the backend a job."""

from __future__ import annotations

from typing import Any

from .. import building, preferences, session
from ..backend_places import CannotStart
from ..client import Connection
from ..vendor import messages as m
from . import backend_start


class Submitting:
    """A mixin of an operator that submits a job, after those that are there; all else happens while Blender goes on."""

    def submit(self, context: Any, spec: m.Job, doing: str, **how: Any) -> set[str]:
        """Submit a job, with a backend that is started where wanted; ``doing`` is its verb, ``how`` that of a track."""
        now = session.current()
        if now.is_tracking(spec):
            return self.refuse(f"“{spec.name}” is being {doing} already.")
        if not self.connect(context):
            return {"CANCELLED"}
        now.track(spec, building.home_of(context.scene), **how)
        if now.notice is not None and now.notice.is_error:
            return self.refuse(now.notice.text)
        return {"FINISHED"}

    def connect(self, context: Any) -> bool:
        """Reach the backend, which is started where wanted; False where it cannot be, and why is said."""
        wanted, now = preferences.get(context), session.current()
        now.connect(wanted.endpoint, wanted.access_key)
        if now.connection is not Connection.CONNECTED and wanted.autostart:
            now.poll()
        if now.connection not in (Connection.CONNECTED, Connection.REFUSED) and wanted.autostart and not now.remote:
            try:
                backend_start.start(context)
            except CannotStart as problem:
                self.refuse(str(problem), preferences=True)
                return False
        return True

    def refuse(self, sentence: str, *, preferences: bool = False) -> set[str]:
        """Say why not in the panel; an error report would raise in scripts and pop up over it."""
        session.current().notice = session.Notice(sentence, is_error=True, preferences=preferences)
        self.report({"WARNING"}, sentence)  # type: ignore[attr-defined]
        return {"CANCELLED"}
