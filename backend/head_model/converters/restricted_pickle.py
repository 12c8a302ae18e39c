"""Reads pickles of numeric models as plain data: nothing that a pickle names is ever imported or called.

Python's own unpickler runs what a file tells it to. Even with ``find_class`` overridden it can be made to allocate by a
number in the file (memo slots, byte arrays) or to hash for ever (shared nested tuples). This one interprets the opcodes
itself: a name becomes an inert ``Global``, an object of it an inert ``Record``, dictionary keys are strings, and what
numpy and scipy would have built is built in ``pickled_arrays`` from checked shapes. The opcodes' arguments are decoded
by the standard library's ``pickletools``, which only reads bytes.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import re
from dataclasses import dataclass, field
from typing import Any

MAX_OPCODES = 200_000
"""Model files hold a few thousand; what holds more is something else."""

ARRAY = "numpy.ndarray"
DTYPE = "numpy.dtype"
TENSOR = "torch.tensor"
STORAGE = "torch.storage"
SPARSE = re.compile(r"scipy\.sparse(\._?(csc|csr|coo))?\.(csc|csr|coo)_(matrix|array)")
CHUMPY = re.compile(r"chumpy(\.[a-z_]+)*\.[A-Za-z_]+")
_ALIASES = {
    "numpy.core.multiarray._reconstruct": "numpy._reconstruct",
    "numpy._core.multiarray._reconstruct": "numpy._reconstruct",
    "numpy.core.multiarray.scalar": "numpy.scalar",
    "numpy._core.multiarray.scalar": "numpy.scalar",
    "numpy.core.numeric._frombuffer": "numpy._frombuffer",
    "numpy._core.numeric._frombuffer": "numpy._frombuffer",
    "numpy.ndarray": ARRAY,
    "numpy.dtype": DTYPE,
    "_codecs.encode": "encode",
    "copy_reg._reconstructor": "_reconstructor",
    "copyreg._reconstructor": "_reconstructor",
    "__builtin__.object": "object",
    "builtins.object": "object",
    "__builtin__.bytes": "bytes",
    "builtins.bytes": "bytes",
    "__builtin__.set": "set",
    "builtins.set": "set",
    "__builtin__.frozenset": "set",
    "builtins.frozenset": "set",
    "collections.OrderedDict": "OrderedDict",
}
"""Every name a pickle may use besides sparse matrices and chumpy's classes, and what it is called here."""

_TORCH = {"torch._utils._rebuild_tensor_v2": TENSOR, "torch._utils._rebuild_parameter": "torch.parameter"}
_STORAGE_CLASS = re.compile(r"torch\.(Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage")
"""What torch's own files name besides; only ``read_pickle(…, torch=True)`` takes these."""

_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "BINSTRING"),
    *("SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE", "BINUNICODE8"),
}
"""Operations that only push their argument."""

_OPERATIONS = {operation.code.encode("latin-1"): operation for operation in pickletools.opcodes}


class PickleFault(Exception):  # noqa: N818 - it is a finding about a file
    """The bytes are no pickle of a model, or are damaged; the text says what is wrong."""


class UnsafePickle(PickleFault):
    """The pickle asks for something that no model needs; ``name`` says what."""

    def __init__(self, name: str) -> None:
        self.name = "".join(letter if letter.isprintable() else "?" for letter in name[:120])  # it goes to terminals
        super().__init__(f"it asks for {self.name}")


@dataclass(frozen=True)
class Global:
    """A name that a pickle mentioned, in this module's own spelling."""

    name: str


@dataclass(eq=False)
class Record:
    """An object in a pickle: what it claims to be, what it would have been made with, and the state put into it."""

    kind: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


def read_pickle(data: bytes, *, torch: bool = False, max_opcodes: int = MAX_OPCODES) -> object:
    """The value that a pickle holds: None, numbers, strings, bytes, tuples, lists, dicts with string keys, ``Record``.

    Strings of Python 2 are decoded as Latin-1; sets come as lists, ordered dictionaries of Python 2 as lists of
    pairs. With ``torch`` it is the pickle within a file of ``torch.save``: a tensor comes as ``Record`` ``TENSOR`` with
    the arguments (storage, offset, size, stride, …), its storage as ``Record`` ``STORAGE`` with torch's persistent id
    ("storage", ``Global`` of the storage's class, name, device, count).

    Raises ``UnsafePickle`` where a name or opcode is used that a model has no use for, and ``PickleFault`` where the
    bytes are damaged.
    """
    try:
        return _Machine(data, torch, max_opcodes).run()
    except PickleFault:
        raise
    except Exception as error:  # damaged bytes make pickletools raise many unrelated types
        raise PickleFault(f"it is damaged or cut off ({type(error).__name__}: {str(error)[:120]})") from error


@dataclass(eq=False)
class _Machine:
    """The pickle virtual machine, less everything that imports or calls."""

    data: bytes
    torch: bool = False
    max_opcodes: int = MAX_OPCODES
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> object:
        file = io.BytesIO(self.data)
        for _ in range(self.max_opcodes):
            code = file.read(1)
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise PickleFault("it is no pickle" if code else "it ends too soon")
            name = operation.name
            if name == "STOP":
                return self.stack.pop()
            if name == "STRING":  # pickletools takes these for ASCII; Python 2 wrote bytes
                self.stack.append(codecs.escape_decode(file.readline().strip()[1:-1])[0].decode("latin-1"))
                continue
            argument = operation.arg.reader(file) if operation.arg is not None else None
            if name in _CONSTANTS:
                self.stack.append(argument)
            else:
                handler = getattr(self, f"op_{name.lower()}", None)
                if handler is None:
                    raise UnsafePickle(f"the pickle operation {name}")
                handler(argument)
        raise PickleFault(f"it holds more than {self.max_opcodes} operations")

    def _to_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def op_proto(self, _: int) -> None:
        pass

    def op_frame(self, _: int) -> None:
        pass

    def op_mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def op_pop(self, _: None) -> None:
        self.stack.pop()

    def op_pop_mark(self, _: None) -> None:
        self._to_mark()

    def op_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def op_none(self, _: None) -> None:
        self.stack.append(None)

    def op_newtrue(self, _: None) -> None:
        self.stack.append(True)

    def op_newfalse(self, _: None) -> None:
        self.stack.append(False)

    def op_empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def op_tuple(self, _: None) -> None:
        self.stack.append(tuple(self._to_mark()))

    def _tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise PickleFault("it takes more from its stack than there is")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def op_tuple1(self, _: None) -> None:
        self._tuple(1)

    def op_tuple2(self, _: None) -> None:
        self._tuple(2)

    def op_tuple3(self, _: None) -> None:
        self._tuple(3)

    def op_empty_list(self, _: None) -> None:
        self.stack.append([])

    op_empty_set = op_empty_list

    def op_list(self, _: None) -> None:
        self.stack.append(self._to_mark())

    op_frozenset = op_list

    def op_append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def op_appends(self, _: None) -> None:
        self._extend(self._to_mark())

    op_additems = op_appends

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise PickleFault("it appends to what is not a list")
        self.stack[-1].extend(items)

    def op_empty_dict(self, _: None) -> None:
        self.stack.append({})

    def op_dict(self, _: None) -> None:
        items = self._to_mark()
        self.stack.append({})
        self._set_items(items)

    def op_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def op_setitems(self, _: None) -> None:
        self._set_items(self._to_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleFault("it sets items of what is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[str(key) if isinstance(key, int | float) else _string(key)] = value

    def op_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    op_binput = op_put
    op_long_binput = op_put

    def op_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    op_binget = op_get
    op_long_binget = op_get

    def op_global(self, argument: str) -> None:
        self.stack.append(_global(argument.replace(" ", ".", 1), self.torch))

    def op_stack_global(self, _: None) -> None:
        name, module = _string(self.stack.pop()), _string(self.stack.pop())
        self.stack.append(_global(f"{module}.{name}", self.torch))

    def op_binpersid(self, _: None) -> None:
        held = self.stack.pop()
        if not self.torch:
            raise UnsafePickle("the pickle operation BINPERSID")
        if not isinstance(held, tuple) or len(held) != 5 or held[0] != "storage":
            raise PickleFault("it refers to what is not a tensor's storage")
        self.stack.append(Record(STORAGE, held))

    def op_reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise PickleFault("it calls what is not a name")
        self.stack.append(_make(function.name, arguments))

    def op_newobj(self, _: None) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, Global) or not isinstance(arguments, tuple):
            raise PickleFault("it makes an object of what is not a class")
        self.stack.append(Record(_class(kind), arguments))

    def op_build(self, _: None) -> None:
        state = self.stack.pop()
        if self.torch and isinstance(self.stack[-1], dict):
            return  # torch gives its ordered dictionaries an attribute, which tells versions
        if not isinstance(self.stack[-1], Record):
            raise PickleFault("it gives a state to what has none")
        self.stack[-1].state = state


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise PickleFault(f"it uses a {type(value).__name__} as a name")
    return value


def _global(name: str, torch: bool) -> Global:
    if name in _ALIASES:
        return Global(_ALIASES[name])
    if torch and name in _TORCH:
        return Global(_TORCH[name])
    if torch and _STORAGE_CLASS.fullmatch(name):
        return Global(name)
    if SPARSE.fullmatch(name) or CHUMPY.fullmatch(name):
        return Global(name)
    raise UnsafePickle(name)


def _class(kind: object) -> str:
    if isinstance(kind, Global) and (SPARSE.fullmatch(kind.name) or CHUMPY.fullmatch(kind.name)):
        return kind.name
    named = kind.name if isinstance(kind, Global) else "what is not a class"
    raise PickleFault(f"it makes an object of {named}")


def _make(name: str, arguments: tuple[Any, ...]) -> object:
    """The value of ``name(*arguments)``, for the few functions that pickles of arrays use."""
    match name, arguments:
        case "numpy._reconstruct", (Global(name="numpy.ndarray"), _, _):
            return Record(ARRAY)
        case "numpy.dtype", (str(), *_):
            return Record(DTYPE, arguments)
        case "numpy.scalar", (Record(kind="numpy.dtype") as dtype, bytes() | str() as raw):
            return Record(ARRAY, state=(1, (), dtype, False, raw))
        case "numpy._frombuffer", (
            bytes() | bytearray() as raw,
            Record(kind="numpy.dtype") as dtype,
            tuple() as shape,
            order,
        ):
            return Record(ARRAY, state=(1, shape, dtype, order == "F", raw))
        case "numpy.ndarray", (tuple() as shape, str() as code, bytes() as raw):  # as backend/export/speech writes them
            return Record(ARRAY, state=(1, shape, Record(DTYPE, (code,)), False, raw))
        case "encode", (str() as text, "latin1" | "latin-1"):
            return text  # arrays take their bytes as Latin-1 too; a copy at each call could be made to fill the memory
        case "_reconstructor", (kind, Global(name="object"), None):
            return Record(_class(kind))
        case "set" | "OrderedDict", (list() as items,):
            return items
        case "bytes", ():  # Python 3 writes an empty one for Python 2 so
            return b""
        case "torch.tensor", (Record(kind="torch.storage"), int(), tuple(), tuple(), *_):
            return Record(TENSOR, arguments)
        case "torch.parameter", (Record(kind="torch.tensor") as tensor, *_):
            return tensor
        case "set" | "OrderedDict", ():
            return [] if name == "set" else {}
    if SPARSE.fullmatch(name) or CHUMPY.fullmatch(name):
        return Record(name, arguments)
    raise PickleFault(f"it calls {name} with arguments of an unknown form")
