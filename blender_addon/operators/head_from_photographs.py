"""Head from Photographs: stills of one person, chosen together, to a neutral, textured head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..job import CannotTrack, photographs_job
from .submitting import Submitting


class FLOWFACE_OT_head_from_photographs(Submitting, bpy.types.Operator):  # type: ignore[misc]
    """Make a neutral, textured head with its 52 shapes of one to ten photographs of a person: of any angles, lenses, \
sizes and expressions. Choose them together; each gets a camera and a frame of its own"""

    bl_idname = "flowface.head_from_photographs"
    bl_label = "Head from Photographs"

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN"})  # type: ignore[valid-type]
    files: bpy.props.CollectionProperty(  # type: ignore[valid-type]
        type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}
    )
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose the photographs."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Submit the job, after those that are there; everything else happens while Blender goes on."""
        folder = Path(bpy.path.abspath(self.directory))
        try:
            spec = photographs_job(context, [folder / file.name for file in self.files if file.name])
        except CannotTrack as problem:
            return self.refuse(str(problem))
        # stills have no frame rate, and each a picture size of its own, that the scene could take over
        return self.submit(context, spec, "made", match_scene=False)


CLASSES = (FLOWFACE_OT_head_from_photographs,)
