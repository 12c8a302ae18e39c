"""``transforms.json`` of nerfstudio and instant-ngp: a lens for all pictures or for each, and where each was taken.

``transform_matrix`` is camera to world with OpenGL's axes (x right, y up, z back). Its unit is arbitrary, and pixels
count from the corner of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from backend.cameras.formats.fields import Plain, image_size, rigid_motion
from backend.cameras.formats.lens_models import distortion_model, lens_of_parameters, number
from backend.cameras.named import LensNumbers, NamedCamera, bad_calibration, named_camera, quoted, require_few
from protocol.messages import DistortionModel

TO_OPENCV = np.array([1.0, -1.0, -1.0])[:, None]
TERMS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
ANGLES = {"camera_angle_x": 0, "camera_angle_y": 1}
"""Angles of view in radians, by the side of the picture that they span."""


def is_transforms(root: Plain) -> bool:
    """True where the map lists frames with matrices."""
    frames = root.get("frames")
    return isinstance(frames, list) and any(isinstance(f, Mapping) and "transform_matrix" in f for f in frames)


def nerfstudio_cameras(path: Path, root: Plain) -> Iterator[NamedCamera]:
    """A camera for each frame, named as its ``file_path``.

    Raises:
        UserError: ``bad_calibration`` and ``calibration_image_size``.
    """
    require_few(path, len(root["frames"]))
    shared = {key: value for key, value in root.items() if key != "frames"}
    for index, own in enumerate(root["frames"]):
        if not isinstance(own, Mapping) or not isinstance(own.get("file_path"), str):
            raise bad_calibration(path, f"frame {index + 1} has no file_path")
        name = own["file_path"]
        fields = {**shared, **own}
        what = f"transform_matrix of {quoted(name)}"
        size = image_size(path, name, fields)
        world_to_camera = rigid_motion(path, own.get("transform_matrix"), what, inverse=True) * TO_OPENCV
        yield named_camera(path, name, size, _lens(path, name, fields, size), world_to_camera, picture=True)


def _lens(path: Path, name: str, fields: Plain, size: list[float] | None) -> LensNumbers:
    model = distortion_model(path, name, fields)
    values = {key: number(path, name, key, fields[key]) for key in TERMS if fields.get(key) is not None}
    if model is DistortionModel.BROWN_CONRADY and any(values.get(key) for key in ("k4", "k5", "k6")):
        # nerfstudio's k4 is of r⁸, OpenCV's divides by it: neither can be told from the file.
        raise bad_calibration(path, f"{quoted(name)} has a k4, which only fisheye lenses can have here")
    for parameter, key in {"fx": "fl_x", "fy": "fl_y", "cx": "cx", "cy": "cy"}.items():
        if fields.get(key) is not None:
            values[parameter] = number(path, name, key, fields[key])
    sides = [side if isinstance(side, int | float) else 0.0 for side in size or [0.0, 0.0]]
    if "fx" not in values:
        values |= _from_angles(path, name, fields, model, sides)
    values.setdefault("cx", sides[0] / 2)
    values.setdefault("cy", sides[1] / 2)
    return lens_of_parameters(path, name, values, model, centred_pixels=False)


def _from_angles(path: Path, name: str, fields: Plain, model: DistortionModel, sides: list[float]) -> dict[str, float]:
    """fx and fy of a pinhole by its angles of view."""
    focals = {}
    for key, side in ANGLES.items():
        if fields.get(key) is not None:
            angle = number(path, name, key, fields[key])
            if not 0 < angle < math.pi or model is DistortionModel.FISHEYE:
                raise bad_calibration(path, f"the {key} of {quoted(name)} is not the angle of view of a pinhole camera")
            focals["fx" if side == 0 else "fy"] = max(sides[side], 1.0) / 2 / math.tan(angle / 2)
    if "fx" not in focals:
        raise bad_calibration(path, f"{quoted(name)} has no focal length: neither fl_x nor camera_angle_x")
    return focals
