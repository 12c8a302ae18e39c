"""A second device in software: what GPU code does wrong by mixing devices shows here without a GPU.

Tensors of this device compute on the CPU, and to the bit as there, but torch sees them as a device's own: an operation
that mixes them with the CPU's, or reads them as numpy without ``.cpu()``, raises an error as with CUDA. What may mix on
CUDA (scalars, indices on the CPU, copies) may mix here. Kernels, precision and memory are a real GPU's own matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch.utils import _pytree as tree
from torch.utils import backend_registration
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "rehearsal"
CROSSING = frozenset({"aten::_to_copy", "aten::copy_", "aten::_copy_from"})
INDEXING = frozenset({"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"})


class There(torch.Tensor):
    """A tensor of the second device, around one of the CPU's."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> There:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=torch.device(NAME, 0),
        )  # fmt: skip
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def second_device() -> Iterator[str]:
    """Within it the device exists; its name."""
    _register()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the device is this thread's alone
    try:
        with _Mode():
            yield NAME
    finally:
        torch.set_num_threads(threads)


@cache
def _register() -> torch.library.Library:
    class Module(backend_registration._DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16]

    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    library = torch.library.Library("aten", "IMPL")
    for name, overload, makes in (
        ("empty_strided", "default", True),
        ("empty", "memory_format", True),
        ("_copy_from", "default", False),
        ("copy_", "default", False),
    ):
        func = getattr(getattr(torch.ops.aten, name), overload)
        known = name if overload == "default" else f"{name}.{overload}"
        library.impl(known, partial(_kernel, func, makes), "PrivateUse1")
    return library


def _kernel(func: Callable[..., Any], makes: bool, *args: Any, **kwargs: Any) -> Any:
    return _run(func, args, {**kwargs, "device": torch.device(NAME, 0)} if makes else kwargs)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on what the tensors hold, its result where it belongs."""
    name = func._schema.name
    tensors = [leaf for leaf in tree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    _require_one_device(name, args, tensors)
    own_args, own = tree.tree_map_only(There, lambda tensor: tensor.held, (args, kwargs))
    device = kwargs.get("device")
    goes = bool(there) if device is None else torch.device(device).type == NAME
    if device is not None:
        own = {**own, "device": torch.device("cpu")}
    if own.get("pin_memory"):
        own["pin_memory"] = False
    found = func(*own_args, **own)
    if name == "aten::copy_":
        return args[0]
    if not goes or name == "aten::_local_scalar_dense":
        return found
    if torch.Tag.inplace_view in func.tags:
        with no_dispatch():
            func(*args, **kwargs)
        return args[0]
    known = {id(tensor.held): tensor for tensor in there}
    inferring = bool(there) and all(tensor.is_inference() for tensor in there)

    def wrapped(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) in known:
            return known[id(tensor)]
        if there and not inferring:  # a view of what autograd knows is what autograd knows
            with torch.inference_mode(False):
                return There(tensor)
        return There(tensor)

    return tree.tree_map_only(torch.Tensor, wrapped, found)


def _require_one_device(name: str, args: Any, tensors: list[torch.Tensor]) -> None:
    """Raise RuntimeError where CUDA would."""
    if name in CROSSING:
        return
    if name in INDEXING:
        values = [args[2]] if len(args) > 2 and isinstance(args[2], torch.Tensor) and args[2].dim() else []
        indices = [index for index in args[1] if index is not None]
        mixed = len({isinstance(tensor, There) for tensor in (args[0], *values)}) > 1
        if mixed or (not isinstance(args[0], There) and any(isinstance(index, There) for index in indices)):
            raise RuntimeError(f"{name}: tensors on two devices")
        return
    if len({isinstance(tensor, There) for tensor in tensors if tensor.dim()}) > 1:
        shapes = ", ".join(f"{type(tensor).__name__}{tuple(tensor.shape)}" for tensor in tensors)
        raise RuntimeError(f"{name}: tensors on two devices: {shapes}")
