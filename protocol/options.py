"""The options of a solve, each declared once: validation, command line and Blender's panel come from its field."""

from __future__ import annotations

from dataclasses import dataclass

from .bounds import FOCALS_PX, require_path, require_within
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

MATCHED_IN_TIME = False
"""Whether the skin of one view is matched from frame to frame where nobody chose."""
_SEVERAL = "between several views, by the pictures of a few frames"
_ONE = "from frame to frame of one, which makes a job take two to three times as long"
MATCHING = (
    Choice(False, "off", "Off", "the face's points alone"),
    Choice(True, "on", "On", f"{_SEVERAL}; {_ONE}"),
    Choice(None, "auto", "Automatic", f"{_SEVERAL}; {_ONE}" if MATCHED_IN_TIME else f"{_SEVERAL}; not in one view"),
)
"""Where the same skin is looked for in a take's pictures. Off and on come first: Blender's files know them as 0 and 1
from when there was nothing else."""


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
    match_skin: bool | None = option(
        None,
        "Match Skin",
        "Place head and cameras by the same skin in several pictures, not by the face's points alone.",
        choices=MATCHING,
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
    wrinkles: bool = option(
        False,
        "Wrinkles",
        "Find the wrinkles that come and go with the skin's tension, from the footage's shading; they follow edited "
        "keys. Off, as it takes half a minute and more, and as gloss, shadows and hair that move with the face can "
        "pass for depth, between the brows above all: look at what it found.",
    )
    solve_principal_point: bool = option(
        False,
        "Cropped Footage",
        "The footage was cropped, so that the lens does not look at its middle: find where it does. It takes a head "
        "that turns, and several seconds of it.",
    )

    def matches_skin(self, views: int) -> bool:
        """Whether the skin of a take of so many views is matched."""
        return (views > 1 or MATCHED_IN_TIME) if self.match_skin is None else self.match_skin

    def __post_init__(self) -> None:
        """Raise ProtocolError: ``bad_option``, or ``bad_field`` for what no file or lens can be."""
        super().__post_init__()
        require_path(self.weights or "", "options.weights")
        require_within(self.focal_px, FOCALS_PX, "options.focal_px", "pixels")
