"""The options of a solve, each declared once: validation, command line and Blender's panel come from its field."""

from __future__ import annotations

from dataclasses import dataclass

from .bounds import FOCALS_PX, require_path, require_within
from .option_fields import SEVERAL_VIEWS as SEVERAL_VIEWS
from .option_fields import WEIGHTS as WEIGHTS
from .option_fields import Choice, option
from .option_fields import OptionField as OptionField
from .option_fields import Options as Options
from .option_fields import option_fields as option_fields

REGIONS = (
    Choice(None, "auto", "Automatic", "the nose where there are several views, nothing where there is one"),
    Choice("", "none", "Off", "the head model's own shapes only"),
    Choice("nose", "nose", "Nose", "the nose, which differs most from person to person"),
    Choice("face", "face", "Face", "the whole face; needs views from several sides"),
)
"""The regions where a person's shape may leave the head's identity basis.

One view tells too little of depth (seeds/001 §3.2.2).
"""


@dataclass(frozen=True)
class SolveOptions(Options):
    """The options of a take's solve; a new one is one more field here.

    It is read where it acts (``backend.pipeline.options``).
    """

    focal_px: float | None = option(
        None,
        "Focal Length",
        "The focal length of every view whose camera is not known; without it, it is solved for, from what a picture's "
        "EXIF says where it says any.",
        above=0.0,
        unit="pixels",
    )
    deform_region: str | None = option(
        None,
        "Personal Shape",
        "Where the person's shape may leave what the head model knows.",
        flag="deform",
        choices=REGIONS,
    )
    weights: str | None = option(
        None,
        "Weights",
        "The network's weights, instead of its own: a .safetensors file, or the name of adapted ones.",
        path=True,
        needs=WEIGHTS,
    )
    match_skin: bool = option(
        True,
        "Match Skin",
        "Place several views by the skin that they show alike, not by the face's points alone.",
        needs=SEVERAL_VIEWS,
    )
    personal_actions: bool = option(
        True,
        "Personal Actions",
        "Refine each shape to how this person moves, where the footage shows it; off, shapes are the head model's own.",
    )
    texture: bool = option(
        True,
        "Texture",
        "Paint the head's skin from the footage: the picture is on the head's material, and can be switched off there.",
    )
    solve_principal_point: bool = option(
        False,
        "Cropped Footage",
        "The footage was cropped, so that the lens does not look at its middle: find where it does. It takes a head "
        "that turns, and several seconds of it.",
    )

    def __post_init__(self) -> None:
        """Raise ProtocolError: ``bad_option``, or ``bad_field`` for what no file or lens can be."""
        super().__post_init__()
        require_path(self.weights or "", "options.weights")
        require_within(self.focal_px, FOCALS_PX, "options.focal_px", "pixels")
