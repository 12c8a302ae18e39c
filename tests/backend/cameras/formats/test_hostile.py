"""Whatever bytes a calibration has, it is a sentence or cameras, by work that grows no faster than the file."""

from __future__ import annotations

import json
import os
import sys

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.cameras.calibration import load_calibration
from backend.cameras.formats.plain import MAX_DEPTH, MAX_VALUES, Fault, parse_json
from backend.cameras.formats.plain_xml import parse_opencv_xml
from backend.cameras.formats.plain_yaml import parse_yaml
from backend.errors import UserError
from tests.backend.cameras.written import D, K, opencv_file, refusal, written

MANY = MAX_VALUES + 1
LAUGHS = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
DOCTYPE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><opencv_storage>&a;</opencv_storage>'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yml", "a: " + "[" * 600_000, "nested more than 32 deep"),
        ("a.yml", "%YAML:1.0\n---\n" + "- " * 300_000, "nested more than 32 deep"),
        ("a.yml", "{a: " * 300_000, "nested more than 32 deep"),
        ("a.yml", "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99)), "nested more"),
        ("a.yml", LAUGHS, "more than 1000000 values"),
        ("a.yml", "a: &a [*a]", "refers to “a” before"),
        ("a.yml", "%TAG !a! b\n" * 9 + "--- 1\n", "begin with %"),
        ("a.yml", "a: 1\na: 2\n", "says “a” twice"),
        ("a.yml", "a: 1\n---\na: 2\n", "several YAML documents"),
        ("a.yml", "[a]: 1\n", "is not text"),
        ("a.yml", "a: \x01", "not YAML"),
        ("a.yml", "a: !!python/object/apply:os.system [id]", "no camera matrix"),
        ("a.yml", "- 1", "not a map"),
        ("a.json", "[" * 600_000, "nested more than 32 deep"),
        ("a.json", '{"a":' * 40 + "1" + "}" * 40, "nested more than 32 deep"),
        ("a.json", "[" + "[]," * MANY + "1]", "more than 1000000 values"),
        ("a.json", '{"a": 1, "a": 2}', "says “a” twice"),
        ("a.json", '{"K": ' + "9" * 100_000 + "}", "camera matrix of “a” has numbers that are not finite"),
        ("a.json", '{"K": [[1e999,0,1],[0,1,1],[0,0,1]], "image_size": [4, 4]}', "not finite"),
        ("a.json", '{"K": [[NaN,0,1],[0,1,1],[0,0,1]], "image_size": [4, 4]}', "not finite"),
        ("a.json", '{"K": [[1,0,1],[0,1],[0,0,1]], "image_size": [4, 4]}', "not a matrix of numbers"),
        ("a.json", '{"K": {"rows": 1e9, "cols": 1e9, "data": [1]}}', "not a matrix of numbers"),
        ("a.json", "null", "not a map"),
        ("a.json", "{} {}", "not JSON"),
        ("a.xml", DOCTYPE, "document type"),
        ("a.xml", "<opencv_storage>" + "<a>" * 600_000, "nested more than 32 deep"),
        pytest.param(
            *("a.xml", "<opencv_storage>" + "1 " * MANY + "</opencv_storage>", "more than 1000000 values"),
            marks=pytest.mark.slow,
        ),
        ("a.xml", "<opencv_storage><a>1</a><a>2</a></opencv_storage>", "says “a” twice"),
        ("a.xml", "<opencv_storage><a>1<b>2</b></a></opencv_storage>", "mixes named and nameless"),
        ("a.xml", '<opencv_storage><a>"b</a></opencv_storage>', "quotation mark"),
        ("a.xml", "<calibration/>", "its root is <calibration>"),
        ("a.xml", "a: 1", "not XML"),
        ("a.json", json.dumps({"cameras": {str(i): {} for i in range(20_001)}}), "more than 20000 cameras"),
        ("a.json", json.dumps({"frames": [{"transform_matrix": 1}] * 20_001}), "more than 20000 cameras"),
        ("a.yml", b"\0" * 100, "NUL"),
        ("a.yml", b"\xff\xfe" + "a: 1".encode("utf-16-le") + b"x", "not text"),
        ("a.yml", b"\x80abc", "not text"),
        ("a.json", b"{}" + b" " * (16 << 20), "larger than 16 MB"),
    ],
)
def test_a_sentence_each(tmp_path, name, content, words):
    assert words in refusal(written(tmp_path, name, content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in its file system")
@pytest.mark.parametrize("name", ["a.yml", "cameras.txt", "cameras.bin", "rig/a.json"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, name):
    (tmp_path / "rig").mkdir()
    os.mkfifo(tmp_path / name)
    assert "not an ordinary file" in refusal(tmp_path / name)
    if name.startswith("rig"):
        with pytest.raises(UserError, match="not an ordinary file"):
            load_calibration([tmp_path / "rig"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_read(tmp_path, encoding):
    camera = {"K": K.tolist(), "image_size": [1920, 1080], "name": "länks"}
    for name, text in (("a.json", json.dumps(camera, ensure_ascii=False)), ("a.yml", yaml.safe_dump(camera))):
        (tmp_path / name).write_bytes(text.encode(encoding))
        assert load_calibration([tmp_path / name]).cameras[0].name == "länks"


def test_a_folder_of_too_much(tmp_path):
    for index in range(5):
        written(tmp_path / "rig", f"{index}.json", b"{}" + b" " * (15 << 20))
    assert "larger than 64 MB" in refusal(tmp_path / "rig")


def test_names_can_be_said_everywhere(tmp_path):
    text = json.dumps({"cameras": {"a\ud800\x1b[31m" + "b" * 5000: {"K": K.tolist(), "image_size": [1920, 1080]}}})
    (camera,) = load_calibration([written(tmp_path, "a.json", text)]).cameras
    camera.name.encode()
    assert "\x1b" not in camera.name and len(camera.name) <= 1000


def work(parse, text):
    """Calls that reading a text makes, Python's and C's."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        parse(text)
    except Fault:
        pass
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    ("parse", "make"),
    [
        (parse_yaml, lambda n: "a: [" + "1, " * n + "]"),
        (parse_yaml, lambda n: "".join(f"k{i}: &a{i} [1]\n" for i in range(n))),
        (parse_yaml, lambda n: "a: &a [1]\nb:\n" + "- *a\n" * n),
        (parse_yaml, lambda n: "- {a: [1]}\n" * n),
        (parse_json, lambda n: '{"a": [' + "[1], " * n + "1]}"),
        (parse_opencv_xml, lambda n: "<opencv_storage><a>" + "<_>1 2</_>" * n + "</a></opencv_storage>"),
        (parse_opencv_xml, lambda n: "<opencv_storage><a>" + '"\\' * n + "</a></opencv_storage>"),
    ],
)
def test_work_grows_as_the_file_does(parse, make):
    assert work(parse, make(4000)) <= 2.05 * work(parse, make(2000)) + 100


def test_what_is_nested_too_deep_costs_as_little_however_deep():
    shallow, deep = (work(parse_yaml, "a: " + "[" * n) for n in (2 * MAX_DEPTH, 100_000))
    assert deep <= shallow + 10


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"\A[a-z]{1,6}\Z"), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=80)
@given(VALUES, st.booleans())
def test_yaml_and_json_say_what_was_written(value, flow):
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value, default_flow_style=flow)) == value


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_what_opencv_writes_is_what_opencv_reads(tmp_path, suffix):
    matrix = np.random.default_rng(1).normal(size=(3, 5)) * 10.0 ** np.arange(-3, 2)
    path = opencv_file(tmp_path / f"a.{suffix}", n=3, x=0.25, words="two words", one=np.array([[7.5]]), m=matrix, D=D)
    parse = {"yml": parse_yaml, "xml": parse_opencv_xml, "json": parse_json}[suffix]
    root = parse(path.read_text())
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    assert (root["n"], root["x"], root["words"]) == (3, 0.25, storage.getNode("words").string())
    data = np.reshape(root["m"]["data"], (root["m"]["rows"], root["m"]["cols"]))
    np.testing.assert_array_equal(data, storage.getNode("m").mat())
    assert np.ravel(root["one"]["data"]).tolist() == [7.5]
    storage.release()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.data())
def test_any_bytes_are_cameras_or_a_sentence(tmp_path, data):
    suffix = data.draw(st.sampled_from(["yml", "xml", "json", "yaml"]))
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        opencv_file(whole, image_width=1920, image_height=1080, camera_matrix=K, distortion_coefficients=D)
    text = whole.read_bytes()
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"[", b"{", b"*a", b"&a ", b"<a>", b'"', b"1e999", b"\n---\n"])
    )
    broken = (
        junk if data.draw(st.integers(0, 9)) == 0 else text[:at] + junk + text[at + data.draw(st.integers(0, 20)) :]
    )
    try:
        assert load_calibration([written(tmp_path, f"broken.{suffix}", broken)]).cameras
    except UserError as error:
        assert error.code in ("bad_calibration", "calibration_image_size", "bad_unit")
