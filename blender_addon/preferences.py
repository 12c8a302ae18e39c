"""The add-on's preferences: where the backend is and where it listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .backend_places import describe
from .client import DEFAULT_ENDPOINT
from .panels.text import draw_text


class FlowFacePreferences(bpy.types.AddonPreferences):  # type: ignore[misc]
    """Preferences of the whole add-on."""

    bl_idname = __package__

    environment: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Backend",
        description="Folder of the Python environment (or checkout) that FlowFace's backend is installed in; "
        "empty to look in the usual places",
        subtype="DIR_PATH",
    )
    endpoint: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Address",
        description="Where the backend listens",
        default=DEFAULT_ENDPOINT,
    )
    autostart: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Start the Backend when Tracking",
        description="Start the backend by itself when Track is pressed and none is running",
        default=True,
    )
    finish_jobs: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Finish Jobs without Blender",
        description="A backend that Blender started goes on with its jobs when Blender is closed, and then ends; their "
        "results are in the list of jobs the next time",
        default=True,
    )

    def draw(self, _context: Any) -> None:
        """Draw the preferences."""
        column = self.layout.column()
        column.use_property_split = True
        for name in ("environment", "endpoint", "autostart"):
            column.prop(self, name)
            if name == "environment":
                draw_text(column, describe(bpy.path.abspath(self.environment)), bpy.context.region.width)


class _Defaults:
    """Preferences where the add-on was registered without being enabled (scripts, tests)."""

    environment = ""
    endpoint = DEFAULT_ENDPOINT
    autostart = True
    finish_jobs = True


def name() -> str:
    """What Blender calls the add-on in its preferences."""
    return str(__package__)


def get(context: Any) -> Any:
    """The preferences, or their defaults where the add-on is not enabled as one."""
    addon = context.preferences.addons.get(__package__)
    return addon.preferences if addon is not None and addon.preferences is not None else _Defaults


def user_folder() -> Path:
    """The folder in which the add-on may write; made where it is missing."""
    if __package__.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(__package__, create=True))
    return Path(bpy.utils.user_resource("CONFIG", path="flowface", create=True))


CLASSES = (FlowFacePreferences,)
