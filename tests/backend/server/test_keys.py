"""The keys of a user: where they are, who may read them, and what becomes of damaged ones."""

from __future__ import annotations

import os
import stat
import sys
import threading

import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest
import zmq.utils.z85
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from backend.client.address import Address, access_of, address
from backend.errors import UserError
from backend.server import keys_cli
from backend.server.keys import KeyRing, keys_folder, new_pair
from protocol import keys as k
from protocol.codec import ProtocolError
from protocol.places import state_folder, state_folder_of

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead of modes")
KEYS = st.binary(min_size=32, max_size=32).map(lambda raw: zmq.utils.z85.encode(raw).decode("ascii"))


def test_the_folder_is_that_of_platformdirs(monkeypatch):
    monkeypatch.delenv("FLOWFACE_STATE_DIR")
    assert state_folder() == platformdirs.user_state_path("flowface", appauthor=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert state_folder() == platformdirs.user_state_path("flowface", appauthor=False)


@pytest.mark.parametrize(
    ("system", "environment", "expected"),
    [
        ("linux", {}, "/home/a/.local/state/flowface"),
        ("linux", {"XDG_STATE_HOME": "/x"}, "/x/flowface"),
        ("darwin", {}, "/home/a/Library/Application Support/flowface"),
        ("win32", {"LOCALAPPDATA": r"C:\Users\a\AppData\Local"}, r"C:\Users\a\AppData\Local\flowface"),
        ("win32", {"FLOWFACE_STATE_DIR": r"D:\keys"}, r"D:\keys"),
    ],
)
def test_the_folder_on_every_system(system, environment, expected):
    assert state_folder_of(system, environment, "/home/a") == expected


@given(KEYS, KEYS)
def test_an_access_key_and_z85_hold_the_same_bytes(backend, secret):
    access = k.Access(backend, secret)
    assert k.access_from_text(f" {k.access_text(access)}\n") == access
    assert k._raw(backend) == zmq.utils.z85.decode(backend)
    assert k.public_from_text(k.public_text(backend)) == k.public_from_text(backend) == backend


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_what_is_no_key_is_a_sentence(text):
    with pytest.raises(ProtocolError) as caught:
        k.access_from_text(text)
    assert caught.value.code == "bad_key"


def test_a_secret_is_in_no_repr():
    pair = new_pair()
    assert pair.secret not in repr(pair) and pair.secret not in repr(k.Access(pair.public, pair.secret))


@POSIX_ONLY
def test_nobody_else_may_read_the_keys(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.new_client("Anna")
    assert stat.S_IMODE(ring.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in ring.folder.iterdir()} == {0o600}


@POSIX_ONLY
@pytest.mark.parametrize("name", ["backend.key", "user.key"])
def test_keys_that_others_may_read_are_not_used(tmp_path, name):
    KeyRing(tmp_path)
    (tmp_path / name).chmod(0o640)
    with pytest.raises(UserError, match="can be read by other users") as caught:
        KeyRing(tmp_path)
    assert caught.value.code == "bad_keys"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_another_user_is_not_used(tmp_path):
    KeyRing(tmp_path)
    os.chown(tmp_path / "user.key", 65534, 65534)
    with pytest.raises(ProtocolError, match="belongs to another user"):
        k.own_access(tmp_path / "user.key")
    with pytest.raises(UserError, match="belongs to another user"):
        KeyRing(tmp_path)


@pytest.mark.parametrize("name", ["backend.key", "user.key"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 4000, b"\xff" * 9, b"x" * 9999, b'{"public": 3, "secret": 3}'])
def test_a_damaged_key_is_said_and_not_replaced(tmp_path, name, content):
    KeyRing(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        KeyRing(tmp_path)
    assert (tmp_path / name).read_bytes() == content


def test_halves_of_different_pairs_are_damage(tmp_path):
    ring = KeyRing(tmp_path)
    (tmp_path / "user.key").write_text(
        k.user_file_text(ring.backend.public, k.KeyPair(new_pair().public, ring.user.secret))
    )
    with pytest.raises(UserError, match="damaged"):
        KeyRing(tmp_path)


def test_a_damaged_list_trusts_nobody(tmp_path):
    ring = KeyRing(tmp_path)
    access = k.access_from_text(ring.new_client("Anna"))
    public = zmq.curve_public(access.secret.encode()).decode()
    assert ring.owner_of(public, network=True) == "Anna" and ring.owner_of(public, network=False) is None
    assert ring.owner_of(ring.user.public, network=True) is None
    (tmp_path / "trusted.json").write_text('[{"name": "Anna"')
    assert ring.owner_of(public, network=True) is None


@POSIX_ONLY
def test_a_list_that_others_may_write_trusts_nobody_and_the_folder_is_closed(tmp_path):
    tmp_path.chmod(0o777)
    ring = KeyRing(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    ring.new_client("Anna")
    assert ring.trusted()
    (tmp_path / "trusted.json").chmod(0o666)
    assert not ring.trusted()
    (tmp_path / "trusted.json").chmod(0o600)
    assert ring.trusted()


def test_first_starts_at_once_agree_on_the_keys(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(KeyRing(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len({(ring.backend.secret, ring.user.secret) for ring in found}) == 1


def test_keys_are_read_where_nothing_can_be_written(tmp_path):
    ring = KeyRing(tmp_path)
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").mkdir()  # a lock that cannot be taken, for root either
    assert KeyRing(tmp_path).user == ring.user
    with pytest.raises(UserError, match="cannot be written") as caught:
        ring.trust("Anna", new_pair().public)
    assert caught.value.code == "bad_keys"


@pytest.fixture
def flowface_keys(tmp_path, monkeypatch):
    """Run ``flowface keys …`` with keys of one's own."""
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))

    def run(*arguments):
        result = CliRunner().invoke(keys_cli.app, list(map(str, arguments)))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return run


def test_keys_by_the_command_line(flowface_keys, tmp_path):
    access = k.access_from_text(flowface_keys("new", "Anna B."))
    flowface_keys("new", "Ben", "--out", tmp_path / "ben.key")
    shown = flowface_keys("show")
    ring = KeyRing(keys_folder())
    assert access.backend == ring.backend.public and "Anna B." in shown and "Ben" in shown
    assert ring.user.secret not in shown and ring.backend.secret not in shown and access.secret not in shown
    assert access_of(str(tmp_path / "ben.key")).backend == ring.backend.public
    flowface_keys("revoke", "Ben")
    assert [client.name for client in ring.trusted()] == ["Anna B."]
    with pytest.raises(UserError, match="No key named “Ben”"):
        flowface_keys("revoke", "Ben")
    with pytest.raises(UserError, match="cannot be written"):
        flowface_keys("new", "Ben", "--out", tmp_path / "ben.key")
    assert [client.name for client in ring.trusted()] == ["Anna B."]


def test_a_client_with_a_key_of_its_own_is_trusted_by_its_public_half(flowface_keys, tmp_path, monkeypatch):
    told = flowface_keys("trust", "studio", k.public_text((theirs := KeyRing(tmp_path / "other" / "keys")).user.public))
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "other"))
    found = address("tcp://studio:5794", told.rsplit(" ", 1)[1].strip())
    assert isinstance(found, Address) and found == "tcp://studio:5794" and found.access.secret == theirs.user.secret
    with pytest.raises(UserError, match="not a public key"):
        flowface_keys("trust", "twice", k.access_text(found.access))


@POSIX_ONLY
def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "a.key"
    path.write_text(k.access_text(k.Access(new_pair().public, new_pair().secret)))
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        access_of(str(path))
    for wrong in ("nowhere.key", str(tmp_path), "a\0b", "flowface1-x"):
        with pytest.raises(UserError) as caught:
            access_of(wrong)
        assert caught.value.code == "bad_keys"


def test_without_an_address_a_key_is_not_used():
    assert address("", "flowface1-x") is None and address("tcp://127.0.0.1:1", "") == "tcp://127.0.0.1:1"
