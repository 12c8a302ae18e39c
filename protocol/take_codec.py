"""Performances to header fields and arrays, and back with every shape and index checked.

The track's file and the wire write a performance alike, under names of their own (``Keys``). A triangle or bone that
points outside its arrays would crash Blender, so what arrives here is right or refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .arrays import FRAMES, Sizes, cast, check, gather, pick, plain_fields
from .bounds import MAX_SIDE, ORTHONORMAL
from .codec import Arrays, ProtocolError
from .codes import ProtocolCode
from .fields import from_plain
from .job import DISTORTION_LENGTHS
from .take import CameraTrack, HeadGeometry, Performance, TakeResult
from .texture import check_texture
from .wrinkles import check_wrinkles

P = TypeVar("P", bound=Performance)
SMALLEST_FOCAL = 1e-3
"""Pixels, of a picture of a few."""
FASTEST = 1e9
"""Frames per second."""


@dataclass(frozen=True)
class Keys:
    """The names of a performance's arrays: a field's name after ``own``, or after ``camera`` with its number."""

    own: str
    camera: str


WIRE = Keys(own="take/", camera="camera{}/")


def take_to_wire(take: TakeResult) -> tuple[dict[str, Any], Arrays]:
    """Header fields and arrays of a take; arrays are not copied where they already have the wire's type.

    Raises:
        ProtocolError: ``bad_take`` or ``bad_field`` where the take contradicts itself or its report is not plain.
    """
    fields, arrays = _one_to_wire(replace(take, others=()))
    others = [_one_to_wire(other, _prefix(number)) for number, other in enumerate(take.others)]
    for _, more in others:
        arrays |= more
    return fields | {"others": [plain for plain, _ in others]}, arrays


def _prefix(number: int) -> str:
    """Before the names of all arrays of one of a take's ``others``."""
    return f"other{number}/"


def _one_to_wire(take: TakeResult, prefix: str = "") -> tuple[dict[str, Any], Arrays]:
    head = cast(take.head)
    sizes: Sizes = {}
    _check_head(head, sizes)
    check_texture(take.texture)
    check_wrinkles(take.wrinkles)
    fields, arrays = write_performance(take, _wire_keys(prefix), sizes)
    return fields | {"head": plain_fields(head)}, arrays | gather(head, f"{prefix}head/")


def _wire_keys(prefix: str) -> Keys:
    return Keys(own=prefix + WIRE.own, camera=prefix + WIRE.camera)


def take_from_wire(fields: Any, arrays: Mapping[str, NDArray[Any]]) -> TakeResult:
    """The take of ``take_to_wire``'s fields and arrays.

    Raises:
        ProtocolError: ``bad_take`` or ``bad_field`` naming the array or field that is absent or wrong.
    """
    plain = _map_of(fields, "take")
    listed = plain.get("others", [])
    if not isinstance(listed, list):
        raise ProtocolError(ProtocolCode.BAD_FIELD, "“take.others” must be a list.")
    others = (_one_from_wire(_map_of(other, "others"), arrays, _prefix(n)) for n, other in enumerate(listed))
    take = replace(_one_from_wire(plain, arrays), others=tuple(others))
    for number, other in enumerate(take.others):
        same = np.array_equal(other.scene_frames, take.scene_frames) and len(other.cameras) == len(take.cameras)
        if not same:
            sentence = f"“{_prefix(number)}{WIRE.own}” has other frames or cameras than the take's first head."
            raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)
    return take


def _one_from_wire(plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> TakeResult:
    came = pick(HeadGeometry, arrays, {}, f"{prefix}head/")
    head = from_plain(HeadGeometry, {**_map_of(plain.get("head"), "head"), **came}, "head")
    sizes: Sizes = {}
    _check_head(head, sizes)
    own = {**plain, "head": head, "others": ()}
    take = read_performance(TakeResult, own, arrays, _wire_keys(prefix), sizes=sizes)
    check_texture(take.texture)
    check_wrinkles(take.wrinkles)
    return take


def write_performance(
    performance: Performance, keys: Keys, sizes: Sizes | None = None
) -> tuple[dict[str, Any], Arrays]:
    """Header fields and arrays of a performance, which must agree with the ``sizes`` that are known already.

    Dataclasses within that are not cameras are the caller's to write.

    Raises:
        ProtocolError: ``bad_take`` or ``bad_field`` where the performance contradicts itself or is not plain.
    """
    performance = cast(performance)
    check_performance(performance, keys, {} if sizes is None else sizes)
    fields = plain_fields(performance) | {"cameras": [plain_fields(camera) for camera in performance.cameras]}
    arrays = gather(performance, keys.own)
    for index, camera in enumerate(performance.cameras):
        arrays |= gather(camera, keys.camera.format(index))
    return fields, arrays


def read_performance(
    cls: type[P],
    fields: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    keys: Keys,
    *,
    version: int | None = None,
    sizes: Sizes | None = None,
) -> P:
    """The performance of ``write_performance``'s fields and arrays; ``version`` is that of a file (see ``pick``).

    Raises:
        ProtocolError: ``bad_take`` or ``bad_field`` naming the array or field that is absent or wrong.
    """
    listed = fields.get("cameras")
    if not isinstance(listed, list):
        raise ProtocolError(ProtocolCode.BAD_FIELD, "“take.cameras” must be a list.")
    came_sizes = dict(sizes or {})
    came: dict[str, Any] = {**pick(cls, arrays, came_sizes, keys.own, version)}
    cameras = []
    for index, camera in enumerate(listed):
        where = f"cameras[{index}]"
        seen = pick(CameraTrack, arrays, came_sizes, keys.camera.format(index), version)
        cameras.append(from_plain(CameraTrack, {**_map_of(camera, where), **seen}, where))
    performance = from_plain(cls, {**fields, **came, "cameras": tuple(cameras)}, "take")
    check_performance(performance, keys, dict(sizes or {}))
    if isinstance(performance, TakeResult):
        _check_index(performance.landmark_vertices, len(performance.head.neutral), f"{keys.own}landmark_vertices")
    return performance


def check_performance(performance: Performance, keys: Keys, sizes: Sizes) -> None:
    """Hold a performance against its declaration and the ``sizes`` that are known already.

    Raises:
        ProtocolError: ``bad_take`` naming the array or camera that is wrong.
    """
    check(performance, sizes, keys.own)
    for index, camera in enumerate(performance.cameras):
        check(camera, sizes, keys.camera.format(index))
        if not 0 < min(camera.image_size) <= max(camera.image_size) <= MAX_SIDE or camera.footage_rotation not in (
            0,
            90,
            180,
            270,
        ):
            raise ProtocolError(
                ProtocolCode.BAD_TAKE, f"Camera “{camera.name}” has an impossible picture size or rotation."
            )
        if camera.focal_ratio <= 0 or len(camera.distortion) not in DISTORTION_LENGTHS.get(camera.distortion_model, ()):
            raise ProtocolError(ProtocolCode.BAD_TAKE, f"Camera “{camera.name}” has an impossible lens.")
        if camera.focal_px.size and not camera.focal_px.min() > SMALLEST_FOCAL:
            raise ProtocolError(ProtocolCode.BAD_TAKE, f"Camera “{camera.name}” has a focal length that no lens has.")
        _check_rotations(camera)
    if not performance.cameras or not sizes[FRAMES]:
        raise ProtocolError(ProtocolCode.BAD_TAKE, "There is no camera or no frame.")
    if len(performance.iris_color) not in (0, 3) or not all(0 <= value <= 1 for value in performance.iris_color):
        raise ProtocolError(ProtocolCode.BAD_TAKE, "“iris_color” must be three numbers from 0 to 1, or none.")
    if not 0 < performance.frame_rate <= FASTEST:
        raise ProtocolError(
            ProtocolCode.BAD_TAKE,
            f"“frame_rate” is {performance.frame_rate:g}, expected more than 0 and at most {FASTEST:g}.",
        )


def _check_rotations(camera: CameraTrack) -> None:
    rotation = camera.world_to_camera[:, :, :3]
    off = np.abs(np.swapaxes(rotation, 1, 2) @ rotation - np.eye(3)).max(initial=0.0)
    if not off <= ORTHONORMAL or (np.linalg.det(rotation) < 0).any():
        raise ProtocolError(ProtocolCode.BAD_TAKE, f"Camera “{camera.name}” is turned by what is no rotation.")


def _check_head(head: HeadGeometry, sizes: Sizes) -> None:
    check(head, sizes, "head/")
    _check_index(head.triangles, sizes["V"], "head/triangles")
    _check_index(head.uv_triangles, sizes["U"], "head/uv_triangles")
    _check_index(head.triangle_part, len(head.part_names), "head/triangle_part")
    _check_index(head.quads, len(head.triangles), "head/quads")
    if len(np.unique(head.quads)) != head.quads.size:
        raise ProtocolError(ProtocolCode.BAD_TAKE, "“head/quads” puts a triangle into two quads.")
    if not 0 <= head.own_vertices <= sizes["V"]:
        raise ProtocolError(ProtocolCode.BAD_TAKE, f"“head.own_vertices” must be 0 to {sizes['V']}.")
    if not all(-1 <= parent < joint for joint, parent in enumerate(head.joint_parents.tolist())):
        raise ProtocolError(ProtocolCode.BAD_TAKE, "“head/joint_parents” must name a joint that came before, or -1.")


def _check_index(array: NDArray[np.int32], count: int, name: str) -> None:
    if array.size and (int(array.min()) < 0 or int(array.max()) >= count):
        raise ProtocolError(ProtocolCode.BAD_TAKE, f"“{name}” points outside the {count} entries it indexes.")


def _map_of(fields: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(fields, Mapping):
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{name}” must be a map.")
    return fields
