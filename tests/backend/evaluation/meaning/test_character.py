"""The facecap character: its sides, and that it performs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.evaluation.meaning.character import Character, load_character
from backend.evaluation.meaning.paint import teeth_of
from backend.evaluation.meaning.record import played_error
from protocol.face_actions import ARKIT_ACTIONS


@pytest.fixture(scope="module")
def character(shared_data: Path) -> Character:
    return load_character(shared_data / "characters" / "facecap")


def moved(character: Character, action: str) -> np.ndarray:
    return character.deltas[ARKIT_ACTIONS.index(action)]


def test_left_is_the_subjects_left_and_the_face_looks_ahead(character: Character) -> None:
    for action in ("mouthSmileLeft", "eyeBlinkLeft", "browDownLeft"):
        amount = np.linalg.norm(moved(character, action), axis=1)
        assert (character.neutral[:, 0] * amount).sum() > 0
    chin = np.linalg.norm(moved(character, "jawOpen"), axis=1).argmax()
    assert moved(character, "jawOpen")[chin, 1] < -0.02
    assert moved(character, "jawLeft")[chin, 0] > 0.005
    assert character.neutral[:, 2].max() > 0.08 > character.eye_centres[0, 2]  # the nose is in front of the eyes
    assert character.eye_centres[1, 0] > 0 > character.eye_centres[0, 0]
    assert np.ptp(character.neutral[character.eyes[0], 1]) == pytest.approx(0.038, abs=0.001)  # stylised, but an eye


def test_it_performs_apples_curves_with_its_eyes(character: Character) -> None:
    jaw = character.weights[:, ARKIT_ACTIONS.index("jawOpen")]
    wide, shut = character.posed(int(jaw.argmax())), character.posed(int(jaw.argmin()))
    assert np.ptp(wide[:, 1]) > np.ptp(shut[:, 1]) + 0.015
    aside = character.weights[:, ARKIT_ACTIONS.index("eyeLookOutLeft")]
    ahead = character.eye_turns[int(aside.argmax()), 1] @ (0, 0, 1)
    assert ahead[0] > character.eye_turns[int(aside.argmin()), 1][0, 2]  # the left eye looks further to the left
    assert np.allclose(character.eye_turns @ character.eye_turns.swapaxes(-1, -2), np.eye(3))


def test_lower_teeth_are_found_in_the_skin(character: Character) -> None:
    lower = teeth_of(character) & character.skin
    assert 500 < lower.sum() < 600
    assert np.linalg.norm(moved(character, "jawOpen")[lower], axis=1).min() > 0.005  # they go with the jaw


def test_half_of_a_performance_is_half_of_its_motion_off(character: Character) -> None:
    assert played_error(character, character.weights, character.weights) == 0.0
    assert played_error(character, 0.5 * character.weights, character.weights) == pytest.approx(0.5)
