"""Check the backend, and make room on its disk."""

from __future__ import annotations

from typing import Any

import bpy

from .. import preferences, session
from ..check import Check, Connected
from ..client import Connection


class FLOWFACE_OT_check(bpy.types.Operator):  # type: ignore[misc]
    """Try all that tracking needs, and say what works, what does not and how to mend it"""

    bl_idname = "flowface.check"
    bl_label = "Check"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """One at a time."""
        check = session.current().check
        return check is None or not check.running

    def execute(self, context: Any) -> set[str]:
        """Begin; the sentences come in their own time."""
        now, wanted = session.current(), preferences.get(context)
        now.connect(wanted.endpoint, wanted.access_key)
        connected = None
        if now.connection is Connection.CONNECTED:
            connected = Connected(now.backend_version, now.device, now.owns_backend, now.version_warning)
        refused = now.connection_sentence if now.connection is Connection.REFUSED else ""
        place = bpy.path.abspath(wanted.environment)
        now.check = Check(place, wanted.device.lower(), wanted.endpoint, connected, refused)
        now.ask_storage()
        return {"FINISHED"}


class FLOWFACE_OT_prune(bpy.types.Operator):  # type: ignore[misc]
    """Delete the oldest jobs beyond what may be kept; none that runs or whose result nobody has fetched"""

    bl_idname = "flowface.prune"
    bl_label = "Delete Old Jobs Now"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A bound must be set, and the backend must answer."""
        if preferences.keep_bytes(preferences.get(context)) is None:
            cls.poll_message_set("All jobs are kept: set how much may be kept first")
            return False
        if session.current().connection is not Connection.CONNECTED:
            cls.poll_message_set("The backend is not running")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Ask the backend; the figures above change when it is done."""
        session.current().ask_storage(preferences.keep_bytes(preferences.get(context)))
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_check, FLOWFACE_OT_prune)
