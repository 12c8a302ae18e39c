"""How characters follow a tracked take, before and after calibration: ``python -m tests.blender.retarget.measure
SCENE [ict makehuman facecap …] [--sliders]``.

SCENE is the ``scene.blend`` of ``flowface track``. Printed for each character and measure are slope and correlation of
the character's on the actor's over the take, and F1 of the frames in which lips and lids are closed; then the same by
landmarks (iBUG's 68, ICT-FaceKit's own), which the calibration knows nothing of. A figure that misses its aim has a *.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

import blender_addon
from backend.evaluation.benchmark.ict_head import load_ict_head
from backend.evaluation.benchmark.makehuman_head import PEOPLE_FILE, first_edition
from backend.head_model.library import load_head
from backend.head_model.model import SurfacePoints, actions_of, surface_positions
from blender_addon.retarget import faces, properties, targets
from blender_addon.retarget.calibration import character, compared
from blender_addon.retarget.mapping import KeyLink, Mapping
from blender_addon.scene import ownership
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import by_landmarks, characters

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def makehuman() -> Any:
    """The first of the benchmark's MakeHuman people, with MakeHuman's own actions."""
    head, data = first_edition(), np.load(PEOPLE_FILE)
    person = head.template @ data["rotation"].T + data["translation"] + data["offsets"][0]
    names, basis = actions_of(head)
    deltas = {name: delta @ data["rotation"].T for name, delta in zip(names, basis, strict=True)}
    return characters.mesh_object("MakeHuman", person.astype(np.float32), head.triangles, deltas)


def made(name: str) -> tuple[Any, SurfacePoints | NDArray[np.intp] | None, NDArray[Any] | None]:
    """A character's object, its 68 landmarks (on triangles, or as vertices) and those triangles."""
    if name == "ict":
        obj = characters.ict(DATA)
        marks = load_ict_head(DATA / "ict" / "ict_facekit.npz").marks
        points = in_head_space(read(obj.data.shape_keys.reference_key))
        return obj, np.array([np.linalg.norm(points - mark, axis=1).argmin() for mark in marks]), None
    if name == "makehuman":
        head = first_edition()
        return makehuman(), head.landmarks["ibug68"], head.triangles
    return characters.facecap(DATA), None, None


def links_of(name: str, obj: Any) -> tuple[KeyLink, ...]:
    """A link from each action to the keys that are the same, two where the character has one for each side."""
    blocks, links = obj.data.shape_keys.key_blocks, []
    for action in ARKIT_ACTIONS:
        spelt = action
        if name == "facecap" and not action.startswith(("jaw", "mouthLeft", "mouthRight")):
            spelt = action.replace("Left", "_L").replace("Right", "_R")
        keys = [spelt] if spelt in blocks else [f"{spelt}Left", f"{spelt}Right"]
        links += [KeyLink(action, key) for key in keys if key in blocks]
    return tuple(links)


def read(block: Any) -> NDArray[np.float64]:
    """The points (V,3) of a shape key."""
    out = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", out)
    return out.reshape(-1, 3).astype(np.float64)


def in_head_space(points: NDArray[Any]) -> NDArray[Any]:
    """Points (V,3) of a mesh that faces −y, with y up and z ahead."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def landmarks(
    obj: Any,
    values: dict[str, NDArray[np.float64]],
    marks: SurfacePoints | NDArray[np.intp],
    triangles: NDArray[Any] | None,
    blinks: tuple[str, ...],
) -> dict[str, NDArray[Any]]:
    """The measures by landmarks of an object whose keys have values (T,)."""

    def at(points: NDArray[np.float64]) -> NDArray[Any]:
        turned = in_head_space(points)
        if isinstance(marks, SurfacePoints):
            assert triangles is not None
            return np.asarray(surface_positions(marks, triangles, turned))
        return turned[marks]

    blocks = obj.data.shape_keys.key_blocks
    base = read(obj.data.shape_keys.reference_key)
    rest = at(base)
    moved = {key: at(read(blocks[key])) - rest for key in {*values, *blinks} if key in blocks}
    over_time = rest + sum(value[:, None, None] * moved[key] for key, value in values.items() if key in moved)
    return by_landmarks.measured(over_time, rest, rest + sum(moved[key] for key in blinks))


def print_scores(title: str, before: tuple[compared.Score, ...], after: tuple[compared.Score, ...]) -> None:
    """A table."""
    print(f"\n{title}\n{'':28} {'slope':>13} {'correlation':>15} {'contact F1':>13}  range")
    for old, new in zip(before, after, strict=True):
        contact = "" if new.contact is None or old.contact is None else f"{old.contact:.2f} → {new.contact:.2f}"
        numbers = f"{old.slope:5.2f} → {new.slope:5.2f} {old.correlation:6.3f} → {new.correlation:6.3f}"
        mark = ("" if new.good else "*") if new.moves else "still"
        print(f"{new.name:28} {numbers} {contact:>13}  {new.span:.3f} {mark}")


def main(scene: Path, names: list[str], sliders: bool) -> None:
    """Print a table for each character."""
    blender_addon.register()
    for name in names:
        bpy.ops.wm.open_mainfile(filepath=str(scene))
        head = ownership.member(ownership.takes_of(bpy.context.scene)[0], ownership.HEAD)
        obj, marks, triangles = made(name)
        target = targets.add(bpy.context.scene, obj, head)
        properties.write_mapping(target, Mapping(keys=links_of(name, obj)))
        actor = faces.read_performance(head)

        def standing(target: Any = target, actor: Any = actor) -> tuple[dict[str, Any], tuple[compared.Score, ...]]:
            it, mapping = faces.read_character(target), properties.mapping_of(target)
            values = character.held(mapping, actor.weights, it)
            return values, compared.compare(actor.curves, compared.measured(it.face, it.keys, values))

        values, before = standing()
        start = time.process_time()
        bpy.ops.flowface.retarget_calibrate(sliders=sliders)
        took = time.process_time() - start
        calibrated, after = standing()
        print_scores(f"{name}: calibrated in {took:.1f} s", before, after)
        changed = [link for link in properties.mapping_of(target).keys if abs(link.response.gain - 1) > 0.02]
        print("gains:", ", ".join(f"{link.action} → {link.key} {link.response.gain:.2f}" for link in changed))
        if marks is None:
            continue
        own = load_head("open")
        weights = {action: actor.weights[action] for action in ARKIT_ACTIONS if action in actor.weights}
        blinks = ("eyeBlinkLeft", "eyeBlinkRight")
        truth = landmarks(head, weights, own.landmarks["ibug68"], own.triangles, blinks)
        scores = [
            compared.compare(truth, landmarks(obj, played, marks, triangles, blinks)) for played in (values, calibrated)
        ]
        print_scores(f"{name}: the same by landmarks", *scores)


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    main(Path(given[0]), given[1:] or ["ict", "makehuman"], "--sliders" in sys.argv)
    sys.stdout.flush()
    os._exit(0)  # bpy may hang or crash where it takes itself down
