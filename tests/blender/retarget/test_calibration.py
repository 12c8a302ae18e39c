"""Faces are measured alike whatever their mesh, and characters are fitted to what the actor's measures are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.evaluation.benchmark.ict_head import load_ict_head
from backend.head_model.converters.ict import read_ict
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, actions_of, surface_positions
from blender_addon.retarget import evaluate, faces, properties, score_properties, source, targets
from blender_addon.retarget.calibration import compared
from blender_addon.retarget.calibration import measures as m
from blender_addon.retarget.calibration import solve as calibration
from blender_addon.retarget.calibration.character import Character, follow
from blender_addon.retarget.mapping import KeyLink, Mapping, Response
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import by_landmarks, characters

F64 = NDArray[np.float64]
MOVED = {
    "jawOpen": (m.LIPS, m.JAW),
    "mouthSmileLeft": (m.SMILE,),
    "mouthPucker": (m.SMILE,),
    "eyeBlinkLeft": (m.LIDS[0],),
    "eyeSquintRight": (m.LIDS[1],),
    "browInnerUp": m.INNER_BROWS,
    "browOuterUpLeft": (m.OUTER_BROWS[0],),
    "browDownRight": (m.INNER_BROWS[1], m.OUTER_BROWS[1]),
}
"""What an action is known for."""


def mesh_of(points: F64, triangles: NDArray[np.integer], actions: dict[str, F64]) -> m.FaceMesh:
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return m.FaceMesh(points.astype(np.float64), edges, {name: d.astype(np.float64) for name, d in actions.items()})


def open_face() -> tuple[m.FaceMesh, F64]:
    head: HeadModel = load_head("open")
    names, basis = actions_of(head)

    def marks(points: F64) -> F64:
        return np.asarray(surface_positions(head.landmarks["ibug68"], head.triangles, points))

    shapes = dict(zip(names, basis, strict=True))
    return mesh_of(head.template, head.triangles, shapes), np.stack(
        [marks(head.template), *(marks(head.template + shapes[name]) for name in (*MOVED, *m.EYES))]
    )


@lru_cache(maxsize=1)
def ict_mesh(path: Path) -> m.FaceMesh:
    head = read_ict(path)
    shapes = {**dict(zip(head.expression_names, head.expression_basis, strict=True)), **head.actions}
    return mesh_of(head.template, head.triangles, {name: shapes[name] for name in ARKIT_ACTIONS if name in shapes})


def ict_face(data: Path) -> tuple[m.FaceMesh, F64]:
    path = data / "ict" / "ict_facekit.npz"
    mesh, marks = ict_mesh(path), load_ict_head(path).marks
    chosen = [int(np.linalg.norm(mesh.points - mark, axis=1).argmin()) for mark in marks]
    moved = [(mesh.points + mesh.actions[name])[chosen] for name in (*MOVED, *m.EYES)]
    return mesh, np.stack([mesh.points[chosen], *moved])


@pytest.mark.parametrize("name", ["open", "ict"])
def test_what_is_measured_is_what_landmarks_say(name: str, shared_data: Path) -> None:
    mesh, marks = open_face() if name == "open" else ict_face(shared_data)
    face = m.find_face(mesh)
    rest, blinking = marks[0], marks[-2] + marks[-1] - marks[0]
    wanted = by_landmarks.measured(marks[1:-2], rest, blinking)
    for at, (action, measures) in enumerate(MOVED.items()):
        for measure in measures:
            found, known = face.measures[measure].of(mesh.actions[action]), float(wanted[measure][at])
            assert abs(found - known) < 0.2 * abs(known) + 0.012, (action, measure, found, known)


def test_a_face_is_found_in_any_unit_and_turned_any_way(shared_data: Path) -> None:
    mesh = ict_mesh(shared_data / "ict" / "ict_facekit.npz")
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    actions = {name: 170.0 * moved @ turn for name, moved in mesh.actions.items()}
    one, other = m.find_face(mesh), m.find_face(m.FaceMesh(170.0 * mesh.points @ turn + 9.0, mesh.edges, actions))
    assert list(one.measures) == list(m.ALL)
    for name, measure in one.measures.items():
        for action in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browInnerUp"):
            assert measure.of(mesh.actions[action]) == pytest.approx(other.measures[name].of(actions[action]), abs=1e-3)


def test_the_gains_that_a_character_needs_are_found(shared_data: Path) -> None:
    """The actor's own face with keys that go less or further: gains undo that, on both sides, and lips close."""
    mesh = ict_mesh(shared_data / "ict" / "ict_facekit.npz")
    face, actor_keys = m.find_face(mesh), dict(mesh.actions)
    weights = {name: curve.astype(np.float64) for name, curve in characters.apple_curves(shared_data).items()}
    weights["eyeBlinkLeft"] = np.minimum(1.0, 1.2 * weights["eyeBlinkLeft"])
    actor = compared.measured(face, actor_keys, weights)
    sizes = {"jawOpen": 0.7, "mouthSmileLeft": 1.5, "mouthSmileRight": 1.5, "browInnerUp": 0.6, "mouthClose": 0.7}
    keys = {name: sizes.get(name, 1.0) * moved for name, moved in actor_keys.items()}
    character = Character(face, keys, dict.fromkeys(keys, (0.0, 3.0)))
    found = calibration.calibrate(Mapping(keys=tuple(KeyLink(n, n) for n in keys)), weights, actor, character)
    gains = {link.key: link.response.gain for link in found.mapping.keys if link.action == link.key}
    for name, size in sizes.items():
        assert gains[name] * size == pytest.approx(1.0, abs=0.12), name
    assert all(score.good for score in found.after)
    assert sum(score.good for score in found.before) < len(found.before) - 4
    assert len(found.frames) < 100


@pytest.mark.usefixtures("addon")
def test_a_character_is_calibrated_with_one_click(shared_data: Path) -> None:
    """Half a blink and half a closed mouth become whole ones, and what is live follows at once."""
    curves = characters.apple_curves(shared_data)
    for blink in m.EYES:  # the recorded actor's do not quite close
        curves[blink] = np.minimum(1.0, curves[blink] / np.percentile(curves[blink], 97))
    head = characters.performer(curves)
    obj = characters.ict(shared_data)
    target = targets.add(bpy.context.scene, obj, head)
    halved = ("eyeBlinkLeft", "eyeBlinkRight", "mouthClose")
    links = [KeyLink(a, a, Response(0.5 if a in halved else 1.0)) for a in ARKIT_ACTIONS]
    links += [KeyLink("browInnerUp", f"browInnerUp{side}") for side in ("Left", "Right")]
    properties.write_mapping(target, Mapping(keys=tuple(link for link in links if link.key in keys_of(obj))))
    bpy.ops.flowface.retarget_live()
    assert bpy.ops.flowface.retarget_measure() == {"FINISHED"}
    before = {score.name: score for score in score_properties.scores_of(target)}
    assert all(before[name].contact < 0.6 for name in compared.CONTACTS)
    assert bpy.ops.flowface.retarget_calibrate() == {"FINISHED"}
    scores = score_properties.scores_of(target)
    assert [score.name for score in scores] == list(m.ALL)
    for score in scores:
        assert score.correlation > 0.95, score
        assert 0.88 < score.slope < 1.12, score
        assert score.contact is None or score.contact > 0.95, score
    mapping = properties.mapping_of(target)
    weights = source.weights(head, np.array([100.0]))
    bpy.context.scene.frame_set(100)
    played = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks
    for key, value in evaluate.key_values(weights, mapping).items():
        assert played[key].value == pytest.approx(float(np.clip(value[0], 0.0, 1.0)), abs=1e-4)


def keys_of(obj: object) -> list[str]:
    return list(obj.data.shape_keys.key_blocks.keys())  # type: ignore[attr-defined]


@pytest.mark.usefixtures("addon")
def test_a_frame_at_rest_is_the_characters_rest_and_sides_may_be_swapped(shared_data: Path) -> None:
    curves = {name: curve.copy() for name, curve in characters.apple_curves(shared_data).items()}
    curves["mouthSmileLeft"] = np.maximum(curves["mouthSmileLeft"], 0.2)
    curves["eyeBlinkRight"] = np.clip(curves["eyeBlinkRight"] + 0.1, 0.0, 1.0)
    head = characters.performer(curves)
    obj = characters.facecap(shared_data)
    target = targets.add(bpy.context.scene, obj, head)
    properties.write_mapping(target, Mapping(keys=facecap_links(), swap=True))
    bpy.context.scene.frame_set(int(sum(curves.values()).argmin()) + 1)
    assert bpy.ops.flowface.retarget_calibrate(neutral="FRAME") == {"FINISHED"}
    actor, mapping = faces.read_performance(head), properties.mapping_of(target)
    at_rest = source.weights(head, np.array([float(bpy.context.scene.frame_current)]))
    assert max(abs(float(value[0])) for value in evaluate.key_values(at_rest, mapping).values()) < 0.02
    after = compared.compare(
        faces.seen_by(actor, mapping), follow(mapping, actor.weights, faces.read_character(target))
    )
    assert min(score.correlation for score in after if score.name in m.LIDS) > 0.9
    assert min(score.correlation for score in after if score.name in m.CORNERS_UP) > 0.9


def facecap_links() -> tuple[KeyLink, ...]:
    plain = ("jaw", "mouthLeft", "mouthRight")
    short = {a: a if a.startswith(plain) else a.replace("Left", "_L").replace("Right", "_R") for a in ARKIT_ACTIONS}
    return tuple(KeyLink(action, key) for action, key in short.items())


@pytest.mark.usefixtures("addon")
def test_a_face_that_cannot_be_measured_is_said(shared_data: Path) -> None:
    target = targets.add(bpy.context.scene, characters.facecap(shared_data), characters.facecap(shared_data))
    links = tuple(link for link in facecap_links() if link.action != "eyeBlinkLeft")
    properties.write_mapping(target, Mapping(keys=links))
    with pytest.raises(RuntimeError, match=r"eyeBlinkLeft, .* Choose the head of a take"):
        bpy.ops.flowface.retarget_calibrate()
    target.source = characters.performer({"jawOpen": np.linspace(0.0, 1.0, 5)})
    with pytest.raises(RuntimeError, match=r"eyeBlinkLeft, .* Correct the links of"):
        bpy.ops.flowface.retarget_calibrate()
