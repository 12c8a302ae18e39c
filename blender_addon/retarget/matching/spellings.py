"""How shape keys of ARKit's actions are called: words of the field's naming families, in any order and any spelling.

Read off names that Apple, Reallusion (Character Creator, ActorCore), Epic (MetaHuman), NVIDIA (Audio2Face), Ready
Player Me, VRChat's Unified Expressions, faceshift and FACS give their shapes.
"""

from __future__ import annotations

SIDED = {
    "browDown": ("brow down", "brow lower", "brow drop", "brow d", "au 4"),
    "browOuterUp": ("brow outer up", "brow outer raise", "brow u", "au 2"),
    "cheekSquint": ("cheek squint", "cheek raise", "eye cheek raise", "au 6"),
    "eyeBlink": ("eye blink", "blink", "eye close", "lid close", "eye lid close", "まばたき", "au 45", "au 43"),
    "eyeSquint": ("eye squint", "squint", "eye squint inner", "eye lid tighten", "lid tighten", "au 7"),
    "eyeWide": ("eye wide", "eye upper lid raise", "upper lid raise", "eye lid wide", "eye open", "au 5"),
    "mouthDimple": ("mouth dimple", "dimple", "au 14"),
    "mouthFrown": ("mouth frown", "mouth corner depress", "mouth corner down", "mouth sad", "frown", "au 15"),
    "mouthLowerDown": ("mouth lower down", "mouth lower depress", "au 16"),
    "mouthPress": ("mouth press", "press", "au 24"),
    "mouthSmile": ("mouth smile", "mouth corner pull", "smile", "mouth corner up", "au 12"),
    "mouthStretch": ("mouth stretch", "stretch", "au 20"),
    "mouthUpperUp": ("mouth upper up", "mouth upper raise", "au 10"),
    "noseSneer": ("nose sneer", "nose wrinkle", "sneer", "au 9"),
}
"""Actions of one side, without the side: how the key of a side, or of both at once, may be called; the likest first."""

SIDEWAYS = {
    "jaw": ("jaw", "jaw slide", "jaw move", "jaw side"),
    "mouth": ("mouth", "mouth slide", "mouth move", "mouth shift"),
}
"""Actions that go to a side; a key without one is another."""

MIDDLE = {
    "browInnerUp": ("brow inner up", "brow inner raise", "brow in raise", "brow u c", "au 1"),
    "cheekPuff": ("cheek puff", "mouth cheek puff", "puff", "au 34"),
    "jawForward": ("jaw forward", "jaw thrust", "au 29"),
    "jawOpen": ("jaw open", "jaw drop", "mouth open", "jaw down", "au 27", "au 26"),
    "mouthClose": (
        *("mouth close", "mouth together", "mouth together upper + mouth together lower", "mouth seal"),
        "jaw drop mouth towards",
    ),
    "mouthFunnel": (
        *("mouth funnel", "mouth funnel upper + mouth funnel lower", "mouth funnel up + mouth funnel down", "funnel"),
        *("mouth o shape", "au 22"),
    ),
    "mouthPucker": (
        *("mouth pucker", "mouth pucker upper + mouth pucker lower", "mouth pucker up + mouth pucker down", "pucker"),
        *("mouth purse", "mouth purse upper + mouth purse lower", "mouth pout", "kiss", "au 18"),
    ),
    "mouthRollLower": ("mouth roll lower", "mouth roll in lower", "mouth suck lower"),
    "mouthRollUpper": ("mouth roll upper", "mouth roll in upper", "mouth suck upper"),
    "mouthShrugLower": ("mouth shrug lower", "jaw chin raise lower", "chin raise", "chin raise lower", "au 17"),
    "mouthShrugUpper": ("mouth shrug upper", "jaw chin raise upper", "chin raise upper"),
    "tongueOut": ("tongue out", "tongue stick out", "au 19"),
}
"""Actions without a side: how the key, or the keys of its two sides, may be called. “+” joins parts that make one."""

VOWELS = {
    "a": (("jawOpen", 1.0),),
    "i": (("mouthStretchLeft", 0.5), ("mouthStretchRight", 0.5)),
    "u": (("mouthPucker", 1.0),),
    "e": (("mouthLowerDownLeft", 0.5), ("mouthLowerDownRight", 0.5)),
    "o": (("mouthFunnel", 1.0),),
}
"""The mouths of VRM's vowels, and which actions with which gain open them: their keys stand for whole mouths."""

VOWEL_NAMES = (
    *(
        ("a", "i", "u", "e", "o"),
        ("aa", "ih", "ou", "ee", "oh"),
        ("aa", "ih", "ou", "e", "oh"),
        ("aa", "i", "u", "e", "o"),
    ),
    ("あ", "い", "う", "え", "お"),
)
"""Names of ``VOWELS`` in their order, by family: VRM 0 and VRoid, VRM 1, VRChat, Oculus, MikuMikuDance."""

ALIKE = {
    "brow": "brows eyebrow eyebrows brw",
    "eye": "eyes",
    "lid": "lids eyelid eyelids",
    "mouth": "lip lips mth",
    "cheek": "cheeks",
    "inner": "inside",
    "outer": "outside",
    "raise": "raiser raised",
    "lower": "lowerer bottom",
    "upper": "top",
    "corner": "corners",
    "pull": "puller",
    "depress": "depressor",
    "wrinkle": "wrinkler",
    "funnel": "funneler",
    "pucker": "puckerer",
    "purse": "pursed",
    "stretch": "stretcher stretched",
    "dimple": "dimpler dimples",
    "press": "pressor pressed",
    "tighten": "tightener",
    "wide": "widen widener",
    "close": "closed shut",
    "blink": "blinking",
    "puff": "puffed blow",
    "forward": "fwd forwards",
    "down": "dn dwn",
    "open": "opened",
    "left": "l lft lf lt",
    "right": "r rgt rt",
    "upper left": "ul",
    "upper right": "ur",
    "lower left": "dl ll",
    "lower right": "dr lr",
}
"""Words and what else stands for them; two words are one token of Epic's names that stands for both."""

WAYS = "look in out up down"
"""Words of a gaze."""

OTHERS = "teeth tooth lash lashes eyelash eyelashes ear ears nostril pupil iris neck throat viseme hair sharp tip"
"""Words that make of a name another thing, so that they are not taken for a prefix."""

MEANINGLESS = "shape shapes blendshape blendshapes morph target key geo mesh msh bs expression expressions exp arkit"
"""Words that may end a name and say nothing."""
