"""MICA as FlowFace keeps it: its checkpoint's tensors, checked one by one, and the neutral they give.

A checkpoint (``mica.tar`` of https://github.com/Zielon/MICA) holds ``arcface`` and ``flameModel``; the latter holds the
mapping (``regressor.…``) and the FLAME 2020 that MICA was trained with (``generator.…``). With that one's mean and
identities the neutral is MICA's own whatever FLAME is tracked with: all FLAMEs have the same 5,023 vertices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.head_model.library import mica_path
from backend.head_model.mica.network import SHAPES, MicaNetwork
from backend.head_model.mica.torch_file import StoredTensor, TorchFile, opened_torch_file
from backend.reading import FileFault, shown, unreadable_file

F32 = NDArray[np.float32]

VERTICES = 5023
LICENCE = "MICA's, for non-commercial scientific research, education and art: https://github.com/Zielon/MICA"
MAX_CHECKPOINT = 1 << 30
"""Bytes. Weights and FLAME take 291 MB; the optimiser's state lies beside them, at most twice the weights."""
MAX_KEPT = 512 << 20
"""Bytes of the file that FlowFace keeps; it has 281 MB."""
LARGEST = 1.0
"""m; no vertex of a head, and none of its shapes at one standard deviation, is further off."""

_HINT = "Give the file mica.tar that MICA's install.sh downloads (https://github.com/Zielon/MICA)."
_TEMPLATE, _SHAPES = "flame.template", "flame.shapes"
_GENERATOR = {
    "generator.v_template": (VERTICES, 3),
    "generator.shapedirs": (VERTICES, 3, SHAPES + 100),  # FLAME's expressions follow its identities
}


@dataclass(frozen=True, eq=False)
class Mica:
    """The network, in evaluation mode, and the FLAME it speaks of: metres, FLAME's axes (those of head space)."""

    network: MicaNetwork
    template: F32  # (5023,3) m
    shapes: F32  # (300,5023,3) m per standard deviation

    def to(self, device: torch.device) -> Mica:
        """The same, its network on ``device``."""
        return Mica(self.network.to(device), self.template, self.shapes)

    def neutrals(self, crops: NDArray[np.uint8]) -> F32:
        """Neutral vertices (n,5023,3), metres, of RGB face crops (n,112,112,3) as ``arcface_crop`` cuts them."""
        device = next(self.network.parameters()).device
        pixels = torch.as_tensor(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)), device=device)
        coefficients = self.network((pixels.float() - 127.5) / 127.5).cpu().numpy()
        return self.template + np.tensordot(coefficients, self.shapes, 1)


def add_mica(checkpoint: Path, on_progress: Callable[[float], None] = lambda _: None) -> Path:
    """Check MICA's checkpoint, and keep what of it is needed; returns the file, which is whole or absent.

    Raises ``UserError``: ``file_missing``, ``too_large``, ``bad_file`` (no file of torch.save, damaged, cut off, or one
    that asks for code), ``bad_checkpoint`` (a tensor is missing or not as it should be, and named),
    ``output_unwritable``.
    """
    arrays = read_checkpoint(checkpoint, on_progress)
    path = mica_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, arrays, compress=False)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot write {path}: {error.strerror or error}.") from error
    return path


def remove_mica() -> Path:
    """Delete the kept weights; returns their path. Raises ``UserError`` ``weights_missing``, ``output_unwritable``."""
    path = mica_path()
    try:
        path.unlink()
    except FileNotFoundError:
        raise _not_added() from None
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot remove {path}: {error.strerror}.") from error
    return path


def require_mica() -> Path:
    """The file of the kept weights; raises ``UserError`` ``weights_missing`` where there is none."""
    if not mica_path().is_file():
        raise _not_added()
    return mica_path()


def load_mica() -> Mica:
    """The kept MICA, on the CPU. Raises ``UserError`` ``weights_missing``, ``bad_weights`` and as ``read_npz`` does."""
    path = require_mica()
    arrays = read_npz(path, "weights", MAX_KEPT)
    expected = _network_shapes() | {_TEMPLATE: (VERTICES, 3), _SHAPES: (SHAPES, VERTICES, 3)}
    wrong = next((name for name, shape in expected.items() if name not in arrays or arrays[name].shape != shape), None)
    if wrong is not None:
        raise UserError(
            ErrorCode.BAD_WEIGHTS, f"{path} does not hold MICA's {wrong}.", "Add it again: flowface head add-mica FILE."
        )
    with torch.device("meta"):
        network = MicaNetwork()
    state = {name: torch.from_numpy(np.array(arrays[name])) for name in _network_shapes()}
    network.load_state_dict(state, assign=True)
    return Mica(network.eval(), arrays[_TEMPLATE], arrays[_SHAPES])


def read_checkpoint(path: Path, on_progress: Callable[[float], None] = lambda _: None) -> dict[str, NDArray[Any]]:
    """The arrays that FlowFace keeps of a checkpoint, by the names of ``MicaNetwork`` and FLAME's; raises as
    ``add_mica`` does."""
    try:
        with opened_torch_file(path, MAX_CHECKPOINT) as file:
            return _checked(path, file, on_progress)
    except FileFault as fault:
        raise unreadable_file(path, "MICA checkpoint", fault) from fault


def _checked(path: Path, file: TorchFile, on_progress: Callable[[float], None]) -> dict[str, NDArray[Any]]:
    network = _network_shapes()
    wanted = {_place(name): shape for name, shape in network.items()}
    wanted |= {("flameModel", name): shape for name, shape in _GENERATOR.items()}
    held = {place: _tensor(path, file, place, shape) for place, shape in wanted.items()}
    _refuse_others(path, file.content, wanted.keys())
    arrays = {}
    for n, (place, tensor) in enumerate(held.items()):
        arrays[place] = _numbers(path, file, place, tensor)
        on_progress((n + 1) / len(held))
    template, shapedirs = (arrays["flameModel", name] for name in _GENERATOR)
    for name, array in zip(_GENERATOR, (template, shapedirs), strict=True):
        if np.abs(array).max() > LARGEST:
            raise _wrong(path, ("flameModel", name), "it leads further than a metre, which no head in metres does")
    return {name: arrays[_place(name)] for name in network} | {
        _TEMPLATE: template,
        _SHAPES: np.ascontiguousarray(shapedirs[:, :, :SHAPES].transpose(2, 0, 1)),
    }


def _place(name: str) -> tuple[str, str]:
    """Where a checkpoint has a tensor of ``MicaNetwork``: its part, and its name there."""
    part, _, own = name.partition(".")
    return (part, own) if part == "arcface" else ("flameModel", name)


def _network_shapes() -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in MicaNetwork().state_dict().items()}


def _tensor(path: Path, file: TorchFile, place: tuple[str, str], shape: tuple[int, ...]) -> StoredTensor:
    part = file.content.get(place[0])
    tensor = part.get(place[1]) if isinstance(part, Mapping) else None
    if not isinstance(tensor, StoredTensor):
        raise _wrong(path, place, f"it is missing, expected a tensor of shape {shape}")
    if tensor.shape != shape:
        raise _wrong(path, place, f"its shape is {tensor.shape}, expected {shape}")
    return tensor


def _refuse_others(path: Path, content: Mapping[str, Any], wanted: Any) -> None:
    """Refuse a tensor of the network that MICA's does not have: it belongs to a network of another build."""
    for part in ("arcface", "flameModel"):
        for name in content[part]:
            if (part, name) not in wanted and not name.startswith("generator."):
                raise _wrong(path, (part, name), "MICA's network has no such tensor")


def _numbers(path: Path, file: TorchFile, place: tuple[str, str], tensor: StoredTensor) -> NDArray[Any]:
    try:
        array = file.read(tensor)
    except FileFault as fault:
        raise _wrong(path, place, fault.reason) from fault
    kind = "i" if place[1].endswith("num_batches_tracked") else "f"
    if array.dtype.kind != kind:
        raise _wrong(path, place, f"it holds {array.dtype}, expected {'int64' if kind == 'i' else 'float32'}")
    if kind == "f" and not np.isfinite([array.min(), array.max()]).all():
        raise _wrong(path, place, "it holds numbers that are not finite")
    return array


def _wrong(path: Path, place: tuple[str, str], reason: object) -> UserError:
    sentence = f"The tensor {'.'.join(place)[:80]} of {shown(path)} does not fit MICA: {reason}."
    return UserError(ErrorCode.BAD_CHECKPOINT, sentence, _HINT)


def _not_added() -> UserError:
    return UserError(
        ErrorCode.WEIGHTS_MISSING,
        "MICA's weights are not here.",
        "Add them: flowface head add-mica mica.tar, a file that you fetch from https://github.com/Zielon/MICA.",
    )
