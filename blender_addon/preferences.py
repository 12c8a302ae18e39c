"""The add-on's preferences: where the backend is, what it may use, and a check of it all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import retention, session
from .backend_places import describe
from .check import Verdict
from .client import DEFAULT_ENDPOINT
from .panels.text import draw_text
from .vendor import codec, keys

ICONS = {Verdict.GOOD: "CHECKMARK", Verdict.WARNING: "INFO", Verdict.BAD: "ERROR"}
_SHOWN = (
    *("environment", "endpoint", "access_key", "device", "autostart", "live_preview", "finish_jobs"),
    *("keep_gb", "keep_days"),
)
BOXES = 60.0
"""Pixels that the boxes about an add-on's preferences take, at the interface's usual scale."""


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
    access_key: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Access Key",
        description="Lets this Blender in at a backend on another machine; “flowface keys new NAME” makes one there. "
        "Empty for a backend on this machine",
        subtype="PASSWORD",
    )
    autostart: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Start the Backend when Tracking",
        description="Start the backend by itself when Track is pressed and none is running",
        default=True,
    )
    finish_jobs: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Finish Jobs without Blender",
        description="A backend that Blender started goes on with its jobs when Blender is closed, and then ends; their "
        "results are in the list of jobs the next time. Otherwise the jobs go on when it is started the next time",
        default=True,
    )

    live_preview: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Live Preview",
        description="Show the head after the first tracked frames, and let it get better while the take is tracked. "
        "It is no part of the file and of no undo step; the result takes its place",
        default=True,
    )

    device: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Device",
        description="What fits are computed on, from the next start of the backend on",
        items=(
            ("AUTO", "Automatic", "A CUDA graphics card where there is one, else the CPU"),
            ("CPU", "CPU", "The CPU, even where there is a graphics card"),
            ("CUDA", "CUDA", "A CUDA graphics card; without one nothing is tracked"),
        ),
    )
    keep_gb: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Keep Jobs up to (GB)",
        description="Beyond this, the backend deletes the oldest jobs, and with them exports of their takes and "
        "proxies that scenes show. What runs, or was not fetched yet, is kept. 0 keeps all",
        default=0.0,
        min=0.0,
        soft_max=100.0,
        precision=1,
    )
    keep_days: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Keep Jobs for (Days)",
        description="A backend that Blender starts deletes jobs so many days after they were made, fetched or not. "
        "What is not over is kept. 0 keeps all, however old",
        default=0,
        min=0,
        soft_max=365,
    )

    def draw(self, _context: Any) -> None:
        """Draw the preferences."""
        _draw_check(self.layout)
        column = self.layout.column()
        column.use_property_split = True
        for name in _SHOWN:
            column.prop(self, name)
            if name == "environment":
                _draw_under(column, describe(bpy.path.abspath(self.environment)))
            elif name == "access_key":
                _draw_key(column, self.access_key)
            elif name == "keep_days":
                _draw_storage(column)


def _draw_key(column: Any, text: str) -> None:
    """What is wrong with the access key, and this client's own."""
    wrong = key_fault(text)
    if wrong:
        _draw_under(column, wrong)
    row = column.split(factor=0.4)
    row.label()
    row.operator("flowface.own_key_copy", icon="COPYDOWN")


def key_fault(text: str) -> str:
    """A sentence about what is no access key, "" for one that is, or none."""
    if not text:
        return ""
    try:
        keys.access_from_text(text)
    except codec.ProtocolError as error:
        return f"{error.message} {error.hint}".strip()
    return ""


def _draw_under(column: Any, text: str) -> None:
    """A text below a field, as wide as it."""
    split = column.split(factor=0.4)
    split.label()
    draw_text(split, text, round(0.6 * _width()))


def _width() -> int:
    """Pixels of the preferences' region that an add-on's own box has."""
    return int(bpy.context.region.width) - round(BOXES * bpy.context.preferences.system.ui_scale)


def _draw_storage(column: Any) -> None:
    held = session.current().storage
    if held is not None:
        _draw_under(column, retention.storage_in_words(held))
        row = column.split(factor=0.4)
        row.label()
        row.operator("flowface.prune")


def _draw_check(layout: Any) -> None:
    check = session.current().check
    row = layout.row()
    row.operator("flowface.check", icon="VIEWZOOM")
    if check is None:
        return
    box = layout.box().column()
    box.label(text=check.summary, icon="SORTTIME" if check.running else "NONE")
    for finding in list(check.findings):
        draw_text(box, f"{finding.sentence} {finding.hint}".strip(), _width(), ICONS[finding.verdict])


def keep_bytes(wanted: Any) -> int | None:
    """The bytes that jobs may take, None where all are kept."""
    return round(wanted.keep_gb * 1e9) if wanted.keep_gb > 0 else None


class _Defaults:
    """Preferences where the add-on was registered without being enabled (scripts, tests)."""

    environment = ""
    endpoint = DEFAULT_ENDPOINT
    access_key = ""
    autostart = True
    finish_jobs = True
    live_preview = True
    device = "AUTO"
    keep_gb = 0.0
    keep_days = 0


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
