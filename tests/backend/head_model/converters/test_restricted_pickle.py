"""Pickles read as plain data: arrays come back as numpy has them, and nothing a hostile one names is ever run."""

from __future__ import annotations

import collections
import contextlib
import pickle
import pickletools
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.head_model.converters.pickled_arrays import to_array
from backend.head_model.converters.restricted_pickle import PickleFault, UnsafePickle, read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
NUMBERS = st.sampled_from(["<f8", ">f4", "<f2", "<i8", ">i4", "<u4", "<u2", "|u1", "|b1"])


@settings(max_examples=60, deadline=None)
@given(
    array=NUMBERS.flatmap(
        lambda code: hnp.arrays(np.dtype(code) if code != "|u1" else np.dtype("u2"), hnp.array_shapes(max_side=4))
    ),
    fortran=st.booleans(),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_arrays_come_back_as_numpy_would_have_them(array: NDArray[Any], fortran: bool, protocol: int) -> None:
    array = np.asfortranarray(array) if fortran else array
    found = to_array(read_pickle(pickle.dumps(array, protocol=protocol)))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("form", ["csc", "csr", "coo"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sparse_matrices_become_dense(form: str, protocol: int) -> None:
    matrix = sp.random(7, 11, 0.3, form, random_state=3)
    np.testing.assert_array_equal(to_array(read_pickle(pickle.dumps(matrix, protocol=protocol))), matrix.toarray())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_come_back(protocol: int) -> None:
    value = {"a": [1, 2.5, None, True, -(2**70)], "b": ("x", "é", (), "long" * 100), "c": {"d": b"raw\xff"}, "e": {}}
    assert read_pickle(pickle.dumps(value, protocol=protocol)) == (
        {**value, "c": {"d": "raw\xff"}} if protocol < 3 else value
    )
    assert read_pickle(pickle.dumps(collections.OrderedDict(x=1), protocol=protocol)) in ({"x": 1}, [["x", 1]])
    scalar = read_pickle(pickle.dumps(np.float64(3.5), protocol=protocol))
    assert to_array(scalar) == 3.5


class Hostile:
    """Pickles as a call of something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self) -> None:
        """Only so that one can be called in another's pickle."""


def attacks(marker: Path) -> dict[str, bytes]:
    """Pickles that make the file ``marker`` when Python's own unpickler reads them, by name of the trick."""
    import builtins
    import operator
    import os
    import runpy
    import subprocess

    command, code = f"touch {marker}", f"open({str(marker)!r}, 'w').close()"
    poisoned = marker.with_suffix(".npy")
    np.save(poisoned, np.array([Hostile(os.system, command)], object), allow_pickle=True)
    array = pickle.dumps(np.zeros(3), 2)
    imported = Hostile(__import__, "os")
    return {
        "os.system": pickle.dumps(Hostile(os.system, command)),
        "os.system by its old name": b"cposix\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "subprocess": pickle.dumps(Hostile(subprocess.call, ["touch", str(marker)])),
        "eval": pickle.dumps(Hostile(builtins.eval, code)),
        "exec": b"c__builtin__\nexec\n(V" + code.encode() + b"\ntR.",
        "attrgetter": pickle.dumps(Hostile(Hostile(operator.attrgetter("system"), imported), command)),
        "nested getattr": pickle.dumps(Hostile(Hostile(getattr, imported, "system"), command)),
        "getattr through numpy": pickle.dumps(
            Hostile(Hostile(getattr, Hostile(getattr, Hostile(__import__, "numpy.lib.npyio"), "os"), "system"), command)
        ),
        "dotted name through numpy": b"\x80\x04\x8c\x05numpy\x8c\x13lib.npyio.os.system\x93\x8c"
        + bytes([len(command)])
        + command.encode()
        + b"\x85R.",
        "numpy.load": pickle.dumps(Hostile(np.load, str(poisoned), None, True)),
        "runpy": pickle.dumps(Hostile(runpy.run_path, str(poisoned))),
        "inside a dictionary, after an array": pickle.dumps(
            {"v_template": np.zeros(3), "f": Hostile(os.system, command)}
        ),
        "an old-style instance": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "an object opcode": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "in an object array": pickle.dumps(np.array([Hostile(os.system, command)], object)),
        "as an array's state": array[:-1] + b"(" + pickle.dumps(Hostile(os.system, command), 2)[2:-1] + b"tb.",
        "numpy's string evaluation": b"cnumpy.testing._private.utils\nruncode\n(V" + code.encode() + b"\ntR.",
    }


def test_hostile_pickles_are_refused_and_nothing_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for trick, data in attacks(marker).items():
        with pytest.raises(UnsafePickle) as fault:
            read_pickle(data)
        assert fault.value.name, trick
        assert not marker.exists(), f"{trick} was run"


def test_the_tricks_do_work_on_pythons_own_unpickler(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    for trick in (
        "os.system",
        "eval",
        "exec",
        "dotted name through numpy",
        "attrgetter",
        "nested getattr",
        "numpy.load",
        "an old-style instance",
    ):
        marker = tmp_path / trick.replace(" ", "_")
        data = attacks(marker)[trick]
        marker.unlink(missing_ok=True)
        pickle.loads(data)  # noqa: S301 - our own
        assert marker.exists(), trick


def test_what_a_pickle_asks_for_cannot_write_to_the_terminal() -> None:
    with pytest.raises(UnsafePickle) as fault:
        read_pickle(b"\x80\x04\x8c\x08os\x1b[2J\x07x\x8c\x01y\x93.")
    assert fault.value.name == "os?[2J?x.y"
    with pytest.raises(UnsafePickle) as fault:
        read_pickle(b"c" + b"a" * 5000 + b"\nb\n.")
    assert len(str(fault.value)) < 200


def named(text: str) -> bytes:
    return b"c" + text.replace(" ", "\n").encode() + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x01.",  # an extension code
        b"Pmine\n.",  # a persistent id
        b"\x80\x04N}\x92.",  # an object with keyword arguments
        b"\x97.",  # an out-of-band buffer
    ],
)
def test_operations_that_no_model_needs_are_refused(data: bytes) -> None:
    with pytest.raises(PickleFault):
        read_pickle(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80\x02K\x01)R.", id="a call of what is no name"),
        pytest.param(named("numpy.core.multiarray _reconstruct") + b")\x81.", id="an object of a function"),
        pytest.param(
            named("numpy.core.multiarray _reconstruct") + b"(K\x01K\x02K\x03tR.", id="an array made of something else"
        ),
        pytest.param(b"}}b.", id="a state for a dictionary"),
        pytest.param(named("chumpy.ch Ch") + b"}b.", id="a state for a class"),
        pytest.param(b"K\x01(S'a'\nK\x02u.", id="a number as a dictionary"),
        pytest.param(b"}))s.", id="a tuple as a key"),
        pytest.param(b".", id="an empty stack"),
        pytest.param(b"t.", id="no mark"),
        pytest.param(b"h\x07.", id="an unknown memo"),
        pytest.param(b"N", id="no end"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"solid head\nfacet normal 0 0 1\n", id="text"),
    ],
)
def test_pickles_that_contradict_themselves_are_faults(data: bytes) -> None:
    with pytest.raises(PickleFault):
        to_array(read_pickle(data))


def test_claimed_sizes_are_not_believed() -> None:
    """Memo slots, byte arrays, strings and frames of gigabytes in a file of some bytes allocate next to nothing."""
    bombs = [
        b"Nr\xff\xff\xff\x7f.",
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",
        b"T\xff\xff\xff\x7f.",
        b"\x80\x04\x95" + (1 << 60).to_bytes(8, "little") + b"N.",
        b"\x8b\xff\xff\xff\x7f.",
    ]
    tracemalloc.start()
    try:
        for data in bombs:
            with contextlib.suppress(PickleFault):
                assert read_pickle(data) is None
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_shared_tuples_are_not_hashed_for_ever() -> None:
    """((((…), (…))…)): sixty doublings are 2⁶⁰ steps for a hash; as a key they are a fault at once."""
    doubled = b"}N" + b"2\x86" * 60 + b"Ns."
    with pytest.raises(PickleFault):
        read_pickle(doubled)


def test_arrays_whose_sizes_do_not_fit_are_faults() -> None:
    good = pickle.dumps(np.arange(6, dtype="<f8").reshape(2, 3), 2)
    shape = pickle.dumps((2, 3), 2)[2:-1].split(b"q")[0]
    for other in (
        b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86",
        b"K\x02K\x04\x86",
        b"J\xff\xff\xff\xffK\x03\x86",
        b"NK\x03\x86",
    ):
        assert good.count(shape) == 1
        with pytest.raises(PickleFault):
            to_array(read_pickle(good.replace(shape, other)))
    matrix = sp.csc_matrix(np.eye(3))
    matrix.indices = np.array([0, 1, 9], np.int32)
    with pytest.raises(PickleFault, match="outside"):
        to_array(read_pickle(pickle.dumps(matrix, 2)))
    matrix = sp.csc_matrix(np.eye(3))
    matrix._shape = (2**40, 3)
    with pytest.raises(PickleFault, match="more than"):
        to_array(read_pickle(pickle.dumps(matrix, 2)))
    with pytest.raises(PickleFault, match="not numbers"):
        to_array(read_pickle(pickle.dumps(np.array(["a", "b"]), 2)))


OPCODES = [operation.code.encode("latin-1") for operation in pickletools.opcodes]
PIECES = st.one_of(
    st.sampled_from(OPCODES),
    st.sampled_from(
        [b"K\x01", b"X\x01\x00\x00\x00x", b")", b"(", b"}", b"]", b"q\x00", b"h\x00", named("numpy ndarray")]
    ),
    st.sampled_from(
        [named(name) for name in ("numpy dtype", "chumpy.ch Ch", "os system", "scipy.sparse.csc csc_matrix")]
    ),
    st.binary(max_size=6),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=25).map(b"".join))
def test_any_bytes_are_a_value_or_a_fault(data: bytes) -> None:
    try:
        value = read_pickle(data)
    except PickleFault:
        return
    with contextlib.suppress(PickleFault):
        assert isinstance(to_array(value), np.ndarray)
