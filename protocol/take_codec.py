"""TakeResult to header fields and arrays, and back with every shape and index checked.

A triangle or bone that points outside its arrays would crash Blender, so what arrives here is right or refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codec import Arrays, ProtocolError
from .fields import from_plain, to_plain
from .job import DISTORTION_LENGTHS
from .take import CameraGeometry, HeadGeometry, TakeResult

Shape = tuple[int | str, ...]

HEAD_ARRAYS: dict[str, tuple[str, Shape]] = {
    "neutral": ("<f4", ("V", 3)),
    "expression_deltas": ("<f4", ("K", "V", 3)),
    "expression_bounds": ("<f4", ("K", 2)),
    "triangles": ("<i4", ("F", 3)),
    "uv_vertices": ("<f4", ("U", 2)),
    "uv_triangles": ("<i4", ("F", 3)),
    "joint_parents": ("<i4", ("J",)),
    "joints": ("<f4", ("J", 3)),
    "skinning_weights": ("<f4", ("V", "J")),
    "triangle_part": ("<i4", ("F",)),
}
CAMERA_ARRAYS: dict[str, tuple[str, Shape]] = {
    "focal_px": ("<f8", ("T",)),
    "principal_point": ("<f8", (2,)),
    "world_to_camera": ("<f8", ("T", 3, 4)),
    "reprojection_error_percent_iod": ("<f4", ("T",)),
    "footage_frames": ("<i8", ("T",)),
}
TAKE_ARRAYS: dict[str, tuple[str, Shape]] = {
    "scene_frames": ("<f8", ("T",)),
    "expression": ("<f4", ("T", "K")),
    "head_rotation": ("<f8", ("T", 3)),
    "head_translation": ("<f8", ("T", 3)),
    "gaze": ("<f4", ("T", 2, 2)),
    "tracked": ("|b1", ("T",)),
    "reprojection_error_percent_iod": ("<f4", ("T",)),
    "actions": ("<f4", ("T", "A")),
    "uncertainty_mm": ("<f4", ("T",)),
}
MAY_BE_INFINITE = ("expression_bounds", "reprojection_error_percent_iod", "uncertainty_mm")
MAY_BE_ABSENT = (
    "camera/reprojection_error_percent_iod",
    "camera/footage_frames",
    "take/actions",
    "take/uncertainty_mm",
)
"""Arrays that older backends do not send."""


def take_to_wire(take: TakeResult) -> tuple[dict[str, Any], Arrays]:
    """Header fields and arrays of a take; arrays are not copied where they already have the wire's type.

    Raises:
        ProtocolError: ``bad_take`` or ``bad_field`` where the take contradicts itself or its report is not plain.
    """
    fields: dict[str, Any] = {
        "name": take.name,
        "frame_rate": take.frame_rate,
        "action_names": list(take.action_names),
        "report": to_plain(take.report),
        "head": _plain_fields(take.head, HEAD_ARRAYS),
        "cameras": [_plain_fields(camera, CAMERA_ARRAYS) for camera in take.cameras],
    }
    arrays = _gather(take, TAKE_ARRAYS, "take/") | _gather(take.head, HEAD_ARRAYS, "head/")
    for index, camera in enumerate(take.cameras):
        arrays |= _gather(camera, CAMERA_ARRAYS, f"camera{index}/")
    _check_take(take)
    return fields, arrays


def take_from_wire(fields: Any, arrays: Mapping[str, NDArray[Any]]) -> TakeResult:
    """The take of ``take_to_wire``'s fields and arrays.

    Raises:
        ProtocolError: ``bad_take`` or ``bad_field`` naming the array or field that is absent or wrong.
    """
    if not isinstance(fields, Mapping) or not isinstance(fields.get("cameras"), list):
        raise ProtocolError("bad_take", "The take has no header.")
    head = from_plain(HeadGeometry, _with_arrays(fields.get("head"), HEAD_ARRAYS, arrays, "head/"), "head")
    cameras = tuple(
        from_plain(CameraGeometry, _with_arrays(camera, CAMERA_ARRAYS, arrays, f"camera{index}/"), f"cameras[{index}]")
        for index, camera in enumerate(fields["cameras"])
    )
    plain = {**fields, "head": head, "cameras": cameras}
    take = from_plain(TakeResult, _with_arrays(plain, TAKE_ARRAYS, arrays, "take/"), "take")
    _check_take(take)
    return take


def _plain_fields(value: Any, skip: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name not in skip}


def _gather(value: Any, table: Mapping[str, tuple[str, Shape]], prefix: str) -> Arrays:
    return {prefix + name: np.asarray(getattr(value, name), dtype) for name, (dtype, _) in table.items()}


def _with_arrays(
    fields: Any, table: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str
) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise ProtocolError("bad_take", f"The take's “{prefix[:-1]}” has no header.")
    came = [name for name in table if prefix + name in arrays]
    for name in table:
        if name not in came and prefix.rstrip("0123456789/") + f"/{name}" not in MAY_BE_ABSENT:
            raise ProtocolError("bad_take", f"The take came without “{prefix}{name}”.")
    for name in came:
        array, dtype = arrays[prefix + name], table[name][0]
        if array.dtype != np.dtype(dtype):
            raise ProtocolError("bad_take", f"“{prefix}{name}” must be {dtype}, not {array.dtype.str}.")
    return {**fields, **{name: arrays[prefix + name] for name in came}}


def _check_take(take: TakeResult) -> None:
    head = take.head
    sizes = {"K": len(head.expression_names), "J": len(head.joint_names), "A": len(take.action_names)}
    _check_arrays(head, HEAD_ARRAYS, sizes, "head/")
    _check_arrays(take, TAKE_ARRAYS, sizes, "take/")
    for index, camera in enumerate(take.cameras):
        _check_arrays(camera, CAMERA_ARRAYS, sizes, f"camera{index}/")
        if min(camera.image_size) <= 0 or camera.footage_rotation not in (0, 90, 180, 270):
            raise ProtocolError("bad_take", f"Camera “{camera.name}” has an impossible picture size or rotation.")
        if camera.focal_ratio <= 0 or len(camera.distortion) not in DISTORTION_LENGTHS:
            raise ProtocolError("bad_take", f"Camera “{camera.name}” has an impossible lens.")
    if not take.cameras or not sizes["T"]:
        raise ProtocolError("bad_take", "The take has no camera or no frame.")
    _check_index(head.triangles, sizes["V"], "head/triangles")
    _check_index(head.uv_triangles, sizes["U"], "head/uv_triangles")
    _check_index(head.triangle_part, len(head.part_names), "head/triangle_part")
    if not all(-1 <= parent < joint for joint, parent in enumerate(head.joint_parents.tolist())):
        raise ProtocolError("bad_take", "“head/joint_parents” must name a joint that came before, or -1.")
    if take.frame_rate <= 0:
        raise ProtocolError("bad_take", "“take.frame_rate” must be above 0.")


def _check_arrays(value: Any, table: Mapping[str, tuple[str, Shape]], sizes: dict[str, int], prefix: str) -> None:
    for name, (dtype, shape) in table.items():
        array = np.asarray(getattr(value, name), dtype)
        if array.ndim != len(shape):
            raise ProtocolError("bad_take", f"“{prefix}{name}” must be {dtype} of shape {shape}.")
        for wanted, got in zip(shape, array.shape, strict=True):
            expected = sizes.setdefault(wanted, got) if isinstance(wanted, str) else wanted
            if expected != got:
                raise ProtocolError("bad_take", f"“{prefix}{name}” has shape {array.shape}, expected {shape}.")
        if array.dtype.kind == "f" and name not in MAY_BE_INFINITE and not np.isfinite(array).all():
            raise ProtocolError("bad_take", f"“{prefix}{name}” holds a number that is not finite.")


def _check_index(array: NDArray[np.int32], count: int, name: str) -> None:
    if array.size and (int(array.min()) < 0 or int(array.max()) >= count):
        raise ProtocolError("bad_take", f"“{name}” points outside the {count} entries it indexes.")
