"""Makes the preset of Rigify's face: `python -m tests.blender.retarget.rigify_preset`, about half a minute.

Each of the open head's actions moves its landmarks; the controls of the face of Rigify's own human metarig, as it is
generated without changes, are moved so that they end up moved alike, in proportion to eyes, mouth and face. The jaw is
turned first, and what a control is carried along with by others is taken off. Left and right are mirrored.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Euler
from numpy.typing import NDArray

from backend.head_model.library import load_head
from blender_addon.retarget import files
from blender_addon.retarget.bones import mirror
from blender_addon.retarget.mapping import FORMAT, VERSION, BoneLink, EyeLink, HeadLink, Mapping, Triple
from protocol.face_actions import ARKIT_ACTIONS, FULL_LOOK_DEGREES, mirrored
from tests.blender.retarget.rigify_rig import CENTRES, LEFTS, generate, landmark_places, places, right

F64 = NDArray[np.float64]

FIRST = (
    "lips.L", "lip.T", "lip.B", "lip.T.L.001", "lip.B.L.001", "brow.T.L.001", "brow.T.L.002", "brow.T.L.003",
    "lid.T.L.002", "lid.B.L.002", "cheek.B.L.001", "cheek.T.L.001", "nose.002", "nose.L.001", "chin",
)  # fmt: skip
"""Controls that carry others along; those are moved afterwards by what is left."""
LEAST = 0.008
"""Of the distance of the eyes: what a control moves by less than this in an action is left out (0.5 mm of a face)."""
UNSEEN = 0.005
"""Of the distance of the eyes: a part of a location that is smaller is 0, as a driver has room for some 25 actions."""
NONE = (0.0, 0.0, 0.0)
LIDS = {"lid.T.L.001": "lid.B.L.003", "lid.T.L.002": "lid.B.L.002", "lid.T.L.003": "lid.B.L.001"}
"""The controls of the upper lid, and those of the lower one that they meet."""
PART = {"mouthLeft": 0.6, "mouthRight": 0.6, "mouthRollLower": 0.5, "mouthRollUpper": 0.5}
"""Of what the head does: nothing between lips and nose of this rig gives way, and its lips do not roll; more folds."""
UPPER_LID_SHARE = 0.9
"""Of a blink: the upper lid's part of the way, as on the open head."""


def make() -> Mapping:
    """The preset."""
    head = load_head("open")
    rig = generate()
    maker = _Maker(rig, head)
    links: list[BoneLink] = []
    for action in ARKIT_ACTIONS:
        if action.endswith("Right") and action not in ("jawRight", "mouthRight"):
            continue
        made = maker.links(action)
        links += made
        if action.endswith("Left") and action not in ("jawLeft", "mouthLeft"):
            links += [mirror.mirrored(rig, link) for link in made]
    return Mapping(
        "Rigify (human face)",
        bones=tuple(
            link
            for link in (_rounded(link, maker.size) for link in links)
            if link.location != NONE or link.rotation != NONE
        ),
        eyes=(EyeLink("left", "eye.L", aims=True), EyeLink("right", "eye.R", aims=True)),
        head=HeadLink("head", "neck"),
        size=round(maker.size, 4),
    )


def _rounded(link: BoneLink, size: float) -> BoneLink:
    """A link in steps of a hundredth of a millimetre, without the parts that nobody sees."""
    location = np.where(np.abs(link.location) < UNSEEN * size, 0.0, link.location)
    return replace(link, location=_triple(location.round(5)), rotation=_triple(np.round(link.rotation, 5)))


def _triple(values: F64) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


class _Maker:
    def __init__(self, rig: Any, head: Any) -> None:
        self.rig, self.head = rig, head
        self.opened: list[BoneLink] = []
        self.controls = {**CENTRES, **LEFTS}
        self.both = {**self.controls, **{right(name): self.controls[name] for name in LEFTS}}
        self.rest = places(rig, [*self.both, "master_eye.L", "master_eye.R"])
        self.size = float(np.linalg.norm(self.rest["master_eye.L"] - self.rest["master_eye.R"]))
        points = head.landmarks["mediapipe478"]
        self.corners, self.weights = head.triangles[points.triangle], points.barycentric
        self.neutral = self._landmarks(head.template)
        eyes = self._eye_middles()
        self.scale = self.size / float(np.linalg.norm(eyes[0] - eyes[1]))

    def _eye_middles(self) -> F64:
        corners = landmark_places(self.neutral, {"l": (263, 362), "r": (33, 133)})
        return np.stack([corners["l"], corners["r"]])

    def _landmarks(self, vertices: F64) -> F64:
        return np.asarray((vertices[self.corners] * self.weights[..., None]).sum(axis=1), np.float64)

    def wanted(self, action: str) -> dict[str, F64]:
        """How far each control is to move (3,)."""
        delta = self.head.expression_basis[self.head.expression_names.index(action)]
        moved = landmark_places(self._landmarks(self.head.template + delta), self.controls)
        still = landmark_places(self.neutral, self.controls)
        out = {}
        for name in self.controls:
            out[name] = (moved[name] - still[name]) * self._proportion(name, still)
            out[name] *= PART.get(action, 1.0)
        if action == "eyeBlinkLeft":
            self._closed(out)
        return out

    def _proportion(self, name: str, still: dict[str, F64]) -> float:
        """How large the rig's part of the face is by the head's."""
        if name.startswith("lid"):
            pair = ("lid.T.L.002", "lid.B.L.002")
        elif name.startswith(("lip", "chin.0")):
            rig, own = self.rest["lips.L"][0], still["lips.L"][0]
            return float(rig / own)
        else:
            return self.scale
        rig, own = (float(np.linalg.norm(at[pair[0]] - at[pair[1]])) for at in (self.rest, still))
        return rig / own

    def _closed(self, out: dict[str, F64]) -> None:
        """Let the lids meet: the upper one comes most of the way."""
        for upper, lower in LIDS.items():
            way = self.rest[lower] - self.rest[upper]
            out[upper], out[lower] = UPPER_LID_SHARE * way, (UPPER_LID_SHARE - 1.0) * way

    def links(self, action: str) -> list[BoneLink]:
        """The links of one action."""
        self._clear()
        wanted = self.wanted(action)
        if action == "mouthClose":  # it closes the lips of an open jaw, whose axes are turned
            self._pose(self.opened)
        before = self.rest if action != "mouthClose" else places(self.rig, self.both)
        made: list[BoneLink] = []
        if action.startswith("jaw"):
            made.append(self._jaw(action, wanted))
        if action == "tongueOut":
            made.append(self._set("tongue_master", location=(0.0, 0.35 * self.size, 0.0), action=action))
        if action.startswith("eyeLook"):
            self._look(action)
        one_sided = action.endswith("Left") and action not in ("jawLeft", "mouthLeft")
        names = list(self.controls)
        if not one_sided:
            names += [right(name) for name in LEFTS]
            self._fill_right(action, wanted)
        for first in (True, False):
            level = [name for name in names if (_left(name) in FIRST) == first]
            if action.startswith("eye"):
                level = [name for name in level if name.startswith(("lid", "brow.B", "cheek.T"))]
            now = places(self.rig, level)
            for name in level:
                if action == "jawOpen" and name.startswith("chin"):
                    continue
                rest = wanted[name] - (now[name] - before[name])
                if np.linalg.norm(rest) >= LEAST * self.size:
                    made.append(self._moved(name, rest, action))
        if action == "jawOpen":
            self.opened = made
        return made

    def _pose(self, links: list[BoneLink]) -> None:
        for link in links:
            self._set(link.bone, action=link.action, location=link.location, rotation=link.rotation)

    def _fill_right(self, action: str, wanted: dict[str, F64]) -> None:
        """What the controls of the right side do: as on the left, or as on the left in the action of the other side."""
        other = self.wanted(mirrored(action))
        for name in LEFTS:
            wanted[right(name)] = other[name] * [-1.0, 1.0, 1.0]
        if mirrored(action) == action:
            for name in CENTRES:
                wanted[name] = wanted[name] * [0.0, 1.0, 1.0]

    def _jaw(self, action: str, wanted: dict[str, F64]) -> BoneLink:
        chin = wanted["chin"]
        if action != "jawOpen":
            return self._moved("jaw_master", chin, action)
        lever = self.rest["chin"] - np.array(self.rig.pose.bones["jaw_master"].bone.head_local)
        angle = 2.0 * np.arcsin(np.linalg.norm(chin) / (2.0 * np.linalg.norm(lever)))
        return self._set("jaw_master", rotation=(float(angle), 0.0, 0.0), action=action)

    def _look(self, action: str) -> None:
        """Turn the eye by its aim, as far as the action means."""
        angle, bone = np.radians(FULL_LOOK_DEGREES), self.rig.pose.bones["eye.L"]
        reach = float(np.linalg.norm(np.array(bone.bone.head_local) - self.rest["master_eye.L"]))
        aside = {"Out": 1.0, "In": -1.0}.get(action.removeprefix("eyeLook").removesuffix("Left"), 0.0)
        up = {"Up": 1.0, "Down": -1.0}.get(action.removeprefix("eyeLook").removesuffix("Left"), 0.0)
        bone.location = (
            reach * np.sin(angle) * aside,
            reach * np.sin(angle) * up,
            reach * (np.cos(angle) - 1.0) * -1.0,
        )

    def _moved(self, name: str, by: F64, action: str) -> BoneLink:
        turn = np.array(self.rig.pose.bones[name].matrix, np.float64)[:3, :3]
        turn /= np.linalg.norm(turn, axis=0)
        more = turn.T @ by
        had = np.array(self.rig.pose.bones[name].location)
        self._set(name, location=tuple(had + more), action=action)
        return BoneLink(action, name, _triple(more))

    def _set(
        self, name: str, *, action: str, location: Any = (0.0, 0.0, 0.0), rotation: Any = (0.0, 0.0, 0.0)
    ) -> BoneLink:
        bone = self.rig.pose.bones[name]
        bone.location = location
        bone.rotation_quaternion = Euler(rotation).to_quaternion()
        return BoneLink(action, name, location, rotation)

    def _clear(self) -> None:
        for bone in self.rig.pose.bones:
            bone.location, bone.rotation_quaternion = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)


def _left(name: str) -> str:
    return name.replace(".R", ".L")


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def to_text(mapping: Mapping) -> str:
    """The text of the preset, a link a line, without what is as it is anyway."""

    def line(item: Any) -> str:
        plain = {
            field.name: getattr(item, field.name) for field in dataclasses.fields(item) if field.name != "response"
        }
        defaults = {field.name: field.default for field in dataclasses.fields(item)}
        return json.dumps({name: value for name, value in plain.items() if value != defaults[name]})

    rows = {name: ",\n".join(f"  {line(item)}" for item in getattr(mapping, name)) for name in ("bones", "eyes")}
    head = json.dumps({"format": FORMAT, "version": VERSION, "name": mapping.name, "size": mapping.size}, indent=1)
    parts = [*(f' "{name}": [\n{text}\n ]' for name, text in rows.items()), f' "head": {line(mapping.head)}']
    return f"{head.removesuffix(chr(10) + '}')},\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else files.PRESETS / "rigify_face.json"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    where.write_text(to_text(make()), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # Blender hangs at exit while Rigify's handlers are registered
