"""Options that are declared once: what they hold, how they travel, and what is refused in which words."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from protocol.codec import ProtocolError
from protocol.fields import from_plain, to_plain
from protocol.options import SolveOptions, option_fields
from tests.protocol.more_options import MoreOptions

WRONG = {float: (True, "5", float("nan"), [1]), int: (True, 1.5, "5"), bool: (1, "yes"), str: (3, b"x")}


def test_what_differs_from_the_defaults_travels():
    assert to_plain(SolveOptions()) == {}
    options = SolveOptions(focal_px=777, deform_region="", match_skin=False)
    assert to_plain(options) == {"focal_px": 777.0, "deform_region": "", "match_skin": False}
    assert from_plain(SolveOptions, to_plain(options), "options") == options
    assert from_plain(SolveOptions, {"deform_region": None, "focal_px": None}, "options") == SolveOptions()


@pytest.mark.parametrize("cls", [SolveOptions, MoreOptions])
def test_every_option_is_described_and_refuses_what_is_not_of_its_kind(cls):
    for item in option_fields(cls):
        assert item.about.label and item.about.help.endswith(".") and item.flag
        assert getattr(cls(), item.name) == item.default
        for value in WRONG[item.type]:
            with pytest.raises(ProtocolError, match=f"“{item.name}” must be") as caught:
                cls(**{item.name: value})
            assert caught.value.code == "bad_option" and caught.value.message.endswith(".")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"focal_px": -1}, "“focal_px” must be a number of pixels above 0, not -1."),
        ({"focal_px": 10**400}, "“focal_px” must be a number of pixels above 0"),
        ({"deform_region": "elbow"}, "“deform_region” must be “”, “nose” or “face”, not 'elbow'."),
        ({"weights": ""}, "“weights” must be a path"),
        ({"weights": "a\0b"}, "“weights” must be a path"),
        ({"match_skin": "on"}, "“match_skin” must be true or false, not 'on'."),
        ({"smooth": 10.5}, "“smooth” must be a number of at least 0 and of at most 10, not 10.5."),
        ({"passes": 0}, "“passes” must be a whole number of at least 1, not 0."),
        ({"focal": 3}, "There is no option “focal”; there is “focal_px”, “deform_region”"),
    ],
)
def test_a_wrong_option_is_named(values, words):
    with pytest.raises(ProtocolError) as caught:
        from_plain(MoreOptions, values, "options")
    assert words in caught.value.message
    assert caught.value.code == ("unknown_option" if "focal" in values else "bad_option")


def test_a_field_that_declares_nothing_is_a_mistake_of_the_programmer():
    @dataclass(frozen=True)
    class Undeclared(MoreOptions):
        extra: int = 3

    with pytest.raises(TypeError, match="extra is no option"):
        Undeclared()
