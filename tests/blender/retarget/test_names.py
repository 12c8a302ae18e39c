"""Names of shape keys, in the field's spellings."""

from __future__ import annotations

import pytest

from blender_addon.retarget import files
from blender_addon.retarget.matching import families, names
from protocol.face_actions import ARKIT_ACTIONS

SPELLINGS = {
    "jawOpen": ["JawOpen", "jaw_open", "A25_Jaw_Open", "head_geo.jawOpen", "blendShape1.jawOpen", "jawOpen.001"],
    "mouthSmileLeft": [
        "mouthSmile_L",
        "L_mouthSmile",
        "mouthsmileleft",
        "lipCornerPullerL",
        "AU12_L",
        "Smile.L",
        "mouthSmile.L.001",
    ],
    "mouthSmileRight": ["Mouth_Smile_R", "CTRL_expressions_mouthCornerPullR", "mouth_cornerPull_R", "FACS_AU12R"],
    "eyeBlinkLeft": ["Eye_Blink_L", "blinkLeft", "Fcl_EYE_Close_L", "eye_left_blink", "EyeClosedLeft"],
    "eyeLookInLeft": ["Eye_L_Look_R", "eyeLookRightL", "eyeLookIn_L"],
    "eyeLookOutRight": ["Eye_R_Look_R", "A13_Eye_Look_Out_Right"],
    "mouthLeft": ["Mouth_L", "mouth_left", "mouthSlideLeft"],
    "jawRight": ["Jaw_R", "jawSlideRight", "char:jawRight"],
    "cheekSquintRight": ["cheekRaiserR", "CTRL_expressions_eyeCheekRaiseR", "Cheek_Raise_R"],
    "mouthUpperUpLeft": ["Mouth_Up_Upper_L", "mouth_upperLipRaise_L", "MouthUpperUpLeft", "upperLipRaiserL"],
    "mouthLowerDownRight": ["Mouth_Down_Lower_R", "mouthLowerLipDepressR"],
    "browInnerUp": ["head_lod0_mesh__browInnerUp", "Wolf3D_Head_browInnerUp", "BrowsU_C"],
}


OTHERS = (
    *("Mouth_Smile_Sharp_L", "Mouth_Upper_L", "V_Open", "jawOpenExtreme", "teeth_jawOpen", "Eyelash_Upper_Up_L"),
    *("jawOpen_mouthSmile_L", "R_jawLeft", "Ear_Up_L", "Key 7", "tongue_left", "", "..", "mouth", "口"),
)


def test_a_name_tells_its_action_and_side() -> None:
    wanted = {name: [action] for action, spelt in SPELLINGS.items() for name in spelt}
    assert {name: [link.action for link in names.match([name])] for name in wanted} == wanted


def test_another_shape_is_not_taken_for_an_action() -> None:
    assert {name: names.match([name]) for name in OTHERS} == dict.fromkeys(OTHERS, ())


def test_keys_that_share_an_action_and_keys_of_several() -> None:
    keys = ["cheekPuff_L", "cheekPuff_R", "blink", "lookLeft", "mouthFunnelUL", "Mouth_Pucker_Up_L"]
    found = {(link.action, link.key): link.response.gain for link in names.match(keys)}
    assert found == {
        ("cheekPuff", "cheekPuff_L"): 1.0,
        ("cheekPuff", "cheekPuff_R"): 1.0,
        ("eyeBlinkLeft", "blink"): 0.5,
        ("eyeBlinkRight", "blink"): 0.5,
        ("eyeLookOutLeft", "lookLeft"): 0.5,
        ("eyeLookInRight", "lookLeft"): 0.5,
    }, "halves without the others are no action"
    assert {link.key for link in names.match([*keys, "blinkLeft", "blinkRight"])} >= {"blinkLeft", "blinkRight"}


def test_run_together_in_lower_case_a_last_letter_is_a_side_where_its_mirror_is_there() -> None:
    both = names.match(["cheekraiser", "cheekraisel"])
    assert [(link.action, link.key) for link in both] == [
        ("cheekSquintLeft", "cheekraisel"),
        ("cheekSquintRight", "cheekraiser"),
    ]
    assert {link.action for link in names.match(["cheekraiser"])} == {"cheekSquintLeft", "cheekSquintRight"}


@pytest.mark.parametrize("vowels", [("A", "I", "U", "E", "O"), ("aa", "ih", "ou", "ee", "oh")])
def test_vowels_open_the_mouth_where_nothing_else_does(vowels: tuple[str, ...]) -> None:
    keys = [f"Face.Fcl_MTH_{vowel}" for vowel in vowels]
    driven = {link.key: link.action for link in names.match(keys)}
    assert (driven[keys[0]], driven[keys[4]]) == ("jawOpen", "mouthFunnel")
    assert len(names.match(keys)) == 7
    assert not {link.key for link in names.match([*keys, *ARKIT_ACTIONS])} & set(keys)


FAMILIES = {name: preset for name, preset in files.presets().items() if preset.keys}
WHOLE = [name for name, preset in FAMILIES.items() if len(preset.unmapped()) <= 4]


def test_eight_families_have_whole_presets() -> None:
    assert {"arkit", "actorcore", "character_creator", "metahuman", "unified_expressions"} <= set(WHOLE)
    assert len(WHOLE) == 8


def test_names_alone_tell_what_a_familys_preset_says() -> None:
    told = {}
    for family in WHOLE:
        preset = files.presets()[family]
        keys = [f"geo.{key}" for key in dict.fromkeys(link.key for link in preset.keys)]
        found = names.match(keys)
        assert {(link.action, link.key.removeprefix("geo.")) for link in found} <= {
            (link.action, link.key) for link in preset.keys
        }, family
        told[family] = len({link.action for link in found})
    assert told.pop("unified_expressions") >= 46  # its own words for six
    assert min(told.values()) >= 48


def test_a_family_is_known_under_prefixes_and_is_none_of_another() -> None:
    for family, preset in FAMILIES.items():
        keys = [f"head.{key}" for key in dict.fromkeys(link.key for link in preset.keys)]
        assert families.family_of([*keys, "head.Basis2", "head.blush"]) == family
        assert [(link.action, link.key, link.response) for link in families.links(preset, keys)] == [
            (link.action, f"head.{link.key}", link.response) for link in preset.keys
        ]
        assert families.family_of(keys[: len(keys) // 3]) is None
