"""Exports that Blender writes, in a process of its own: there is no other writer of them that we could ship.

They are for the command line and for batches. In Blender the take is there, and *Export Head, Animated* writes the same
formats of what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.export.registry import EXPORTS, exports_in_words, require_export
from protocol.offers import ExportInfo


@dataclass(frozen=True)
class BlenderExport:
    """An export and the name of its format in ``blender_addon.retarget.exchange``."""

    info: ExportInfo
    format: str


BLENDER_EXPORTS = {
    one.info.name: one
    for one in (
        BlenderExport(
            ExportInfo("alembic", "Alembic", ".abc", "where all points of the head are by frame, and the cameras"),
            "ALEMBIC",
        ),
        BlenderExport(
            ExportInfo("gltf", "glTF, Animated", ".glb", "the head with its shapes as morph targets, animated"), "GLTF"
        ),
        BlenderExport(
            ExportInfo("fbx", "FBX, Animated", ".fbx", "the head with its shapes and bones, animated"), "FBX"
        ),
        BlenderExport(ExportInfo("usd", "USD", ".usdc", "where all points of the head are by frame"), "USD"),
    )
}
"""By name; a new one is an entry here."""


def any_export(name: str) -> ExportInfo:
    """The export called ``name``, whoever writes it; raises UserError ``unknown_export`` for a name that none has."""
    if name not in EXPORTS and name in BLENDER_EXPORTS:
        return BLENDER_EXPORTS[name].info
    return require_export(name, also=BLENDER_EXPORTS)


def is_export(name: str) -> bool:
    """Whether there is an export called ``name``, whoever writes it."""
    return name in EXPORTS or name in BLENDER_EXPORTS


def is_blenders(name: str) -> bool:
    """Whether Blender writes an export, and no registered function."""
    return name not in EXPORTS and name in BLENDER_EXPORTS


def all_in_words() -> str:
    """All exports with what is in them, in one sentence for the command line's help."""
    words = "; ".join(f"{one.info.name}: {one.info.help} ({one.info.suffix})" for one in BLENDER_EXPORTS.values())
    return f"{exports_in_words().removesuffix('.')}; by Blender, {words}."
