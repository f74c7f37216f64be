"""Files that anyone may have written: configs, jobs, panels, status files, manifests, performers: read, or refused.

What refuses them is a sentence: a typed error where the engine reads, a state where the bridge does.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_engine import BRIDGE  # noqa: F401  (finds the bridge's modules)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from job_tables import JobError, plan_of
from jobs import FORMAT, JobClient
from panel import PanelFile
from settings import Settings

from engine import config, session
from engine.errors import BadInput, ConfigError, EngineError
from engine.jobs import plan
from engine.session import Session
from nodes.generator.network import checkpoint

quick = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
CONFIG = b"""\
engine: {name: demo, osc: {port: 9000, targets: ["127.0.0.1:9001"]}}
nodes:
  camera: {type: camera.pattern, size: [64, 64], fps: 30}
  mirror: {type: filter.mirror, input: camera, axis: x}
  output:
    type: output.touchdesigner
    inputs: {image: {stream: mirror, policy: latest}}
    size: [64, 64]
"""
JOBS = b"""\
commands:
  mine: {argv: [program, "{x}"], options: {x: {type: int, min: 0}}}
stages:
  - {stage: one, command: mine, options: [[x, 1]], next: two}
  - {stage: two, command: notify, options: [[to, "127.0.0.1:7000"], [text, "{prev.text}"]]}
"""
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
names = st.sampled_from(
    ["engine", "nodes", "name", "type", "input", "inputs", "size", "camera", "camera.pattern", "osc", "port", "stages",
     "commands", "stage", "command", "options", "argv", "next", "on_fail", "timeout", "retries", "format", "events"]
)  # fmt: skip
data = st.recursive(
    scalars | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=6), inner, max_size=5),
    max_leaves=25,
)
cuts = st.tuples(st.integers(0, 420), st.integers(0, 40), st.binary(max_size=40))
CAMERA = b"nodes: {camera: {type: camera.pattern, size: [1, 1], fps: %s}}"
BOMBS = [
    b"a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]", b"nodes: " + b"[" * 5000, b"nodes: " + b"{a: " * 5000, b"- " * 20_000,
    b"engine: {port: " + b"9" * 50_000 + b"}", b"engine: {port: 0x" + b"f" * 50_000 + b"}", b"engine: {port: 1e999}",
    b"engine: {port: " + b"1:" * 20_000 + b"1}", b"\xff\xfe" + "engine: {}".encode("utf-16-le"), b"\x00" * 100,
    b"nodes: !!python/object/apply:os.system [id]", b"\xef\xbb\xbf" * 3, b"%YAML 9.9\n---\na: 1", b"--- a\n--- b\n",
    b"? [a, b]\n: c", b"<<: {a: 1}", b'engine: {name: "\\ud800"}', b"a" * 99_000, b"a: |\n" + b" \n" * 40_000,
    b"engine: 2001-99-99", b"engine: .nan", b"!!binary aGk=", b"{" * 17 + b"}" * 17, b"a: 0b" + b"1" * 90_000,
    b"a: " + b"9" * 4301, b"\xed\xa0\x80: 1", b"a: 2001-01-01T00:00:00+99:99", b"'" * 50_000, b"&" * 1000, b"*" * 1000,
    b"@", b"`", b"\t\ta: b", b"a: !<tag:yaml.org,2002:int> x", CAMERA % (b"9" * 4301), CAMERA % b"1e308",
    CAMERA % b"64:64", CAMERA % b".inf", CAMERA % b"2001-99-99",
]  # fmt: skip


def refused(read: Any, path: Path, content: bytes) -> None:
    """Reading raises a ConfigError that names the file and is fit to print, or nothing."""
    path.write_bytes(content)
    try:
        read(path)
    except ConfigError as error:
        assert str(error).startswith(str(path)) and len(str(error)) < 20_000
        str(error).encode()


@pytest.mark.parametrize("read", [config.load, plan.read], ids=["config", "jobs"])
@pytest.mark.parametrize("content", BOMBS, ids=range(len(BOMBS)))
def test_a_hostile_file_is_refused(tmp_path: Path, read: Any, content: bytes) -> None:
    refused(read, tmp_path / "f.yaml", content)


@quick
@given(cuts, st.booleans())
def test_a_good_file_with_a_bad_spot_is_read_or_refused(tmp_path: Path, cut: tuple[int, int, bytes], end: bool) -> None:
    at, gone, put = cut
    for read, whole in ((config.load, CONFIG), (plan.read, JOBS)):
        refused(read, tmp_path / "f.yaml", whole[:at] + put + (b"" if end else whole[at + gone :]))


@quick
@given(data, st.dictionaries(st.sampled_from(["engine", "nodes", "stages", "commands"]), data, max_size=4))
def test_any_structure_is_read_or_refused(tmp_path: Path, anything: Any, top: dict[str, Any]) -> None:
    for content in (anything, top):
        for read in (config.load, plan.read):
            refused(read, tmp_path / "f.json", json.dumps(content).encode())


@quick
@given(st.text(max_size=40))
@example("camera.size=[[[[[[[[[[[[[[[[[[[[[[[[1")
@example("camera.size=" + "9" * 5000)
@example("camera.fps=\ud800")
@example("camera.fps=2001-99-99")
@example("engine.port=!!python/name:os.system")
def test_any_value_from_the_command_line_is_taken_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(CONFIG)
    for word in (text, "camera.fps=" + text):
        try:
            config.load(path, [word])
        except ConfigError as error:
            assert str(error)


# --- what the bridge reads ---


DEEP = b"[" * 100_000
GOOD_PANEL = {
    "format": "utsushi.panel/1", "session": 1, "pid": 2, "osc": {"host": "127.0.0.1", "port": 9000}, "streams": [],
    "nodes": [{"name": "camera", "type": "camera.pattern", "parameters": [
        {"name": "speed", "type": "float", "size": 1, "most": 1, "default": 1.0, "value": 2.0, "min": 0, "max": 5,
         "exclusive_min": False, "exclusive_max": False, "menu": None, "unit": "", "help": "", "version": 0,
         "address": "/utsushi/node/camera/speed"}]}],
}  # fmt: skip


@quick
@given(st.binary(max_size=60) | data.map(lambda found: json.dumps(found).encode()))
@example(DEEP)
@example(b'{"format": "utsushi.panel/1"}')
def test_any_panel_file_is_taken_or_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    file = PanelFile("demo")
    file.path.write_bytes(content)
    file.changed()
    assert file.panel is None or file.panel["format"] == "utsushi.panel/1"


@quick
@given(st.integers(0, 40), data)
def test_a_panel_with_one_thing_wrong_is_usable_or_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, instead: Any
) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    panel = json.loads(json.dumps(GOOD_PANEL))
    parameter = panel["nodes"][0]["parameters"][0]
    spots = [(panel, key) for key in panel] + [(panel["osc"], key) for key in panel["osc"]]
    spots += [(panel["nodes"][0], key) for key in ("name", "parameters")] + [(parameter, key) for key in parameter]
    whole, key = spots[place % len(spots)]
    whole[key] = instead
    file = PanelFile("demo")
    file.path.write_text(json.dumps(panel), encoding="utf-8", errors="replace")
    file.changed()
    found = Settings([])
    found.load(file.panel)
    if file.panel is not None:
        found.to_show()
        assert all(isinstance(row.address, str) for row in found.rows)
        assert all(stream["kind"] for stream in file.panel["streams"])


def test_a_good_panel_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    file = PanelFile("demo")
    file.path.write_text(json.dumps(GOOD_PANEL), encoding="utf-8")
    assert file.changed() and file.panel == GOOD_PANEL


event = st.dictionaries(
    st.sampled_from(["format", "job", "seq", "stage", "event", "progress", "eta_s", "text", "outputs", "exit_code"]),
    scalars | st.sampled_from([FORMAT, "j", "started", "progress", "log", "done", "failed", "cancelled"]) | data,
)


@quick
@given(st.lists(event | data, max_size=5), st.lists(st.binary(max_size=30), max_size=2), data)
def test_any_job_event_and_status_file_is_taken_or_left(
    tmp_path: Path, events: list[Any], noise: list[bytes], newest: Any
) -> None:
    status = tmp_path / "j.json"
    client = JobClient(tmp_path)
    good = {"format": FORMAT, "job": "j", "seq": 1, "stage": "", "event": "started", "text": "go"}
    client.attach(status)
    ours = [{**good, **one} if isinstance(one, dict) else one for one in events]
    for one in ours:
        client.receive(json.dumps(one).encode())
        client.poll()
    for one in (*noise, DEEP):
        client.receive(one)
    for content in (json.dumps({"format": FORMAT, "job": "j", "events": ours, "seq": newest}).encode(), *noise, DEEP):
        status.write_bytes(content)
        client._pulled = client._stamp = None or 0  # type: ignore[assignment]
        client.poll()
        client.poll()
    assert isinstance(client.message, str) and isinstance(client.state, str)


@quick
@given(
    st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=4), st.lists(st.lists(names, max_size=6), max_size=4)
)
def test_any_tables_become_a_plan_or_a_sentence(stages: list[list[str]], commands: list[list[str]]) -> None:
    heads = [["stage", "command", "options", "next", "timeout"]], [["command", "options", "outputs", "argv"]]
    for rows in ((stages, commands), (heads[0] + stages, heads[1] + commands)):
        with suppress(JobError):
            json.dumps(plan_of(rows[0], {"options": stages}, rows[1]))


# --- what a former engine left ---


@quick
@given(st.binary(max_size=80) | data.map(lambda found: json.dumps(found).encode()))
@example(DEEP)
@example(json.dumps({"segments": ["utsu_s_/../x", "utsu_s_\0", "utsu_s_" + "x" * 5000, 7, "utsu_other_1"]}).encode())
def test_any_manifest_is_swept_and_the_engine_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    removed: list[str] = []
    monkeypatch.setattr(session.shm, "unlink", removed.append)
    (tmp_path / "s.json").write_bytes(content)
    Session("s").close()
    assert all(name.startswith("utsu_s_") for name in removed)


def test_a_name_that_no_segment_can_have_is_nothing_to_remove() -> None:
    for name in ("utsu_s_/../x", "utsu_s_\0", "utsu_s_" + "x" * 5000, "\ud800"):
        session.shm.unlink(name)


# --- performers ---


def header(content: Any, tail: bytes = b"") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + tail


entry = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["F16", "U8", "F64", "BF16", "F8_E4M3", "X", ""]),
     "shape": st.lists(st.integers(-1, 2**63), max_size=5),
     "data_offsets": st.lists(st.integers(-1, 2**63), max_size=3)}
)  # fmt: skip
metadata = st.dictionaries(
    st.sampled_from(["format", "network", "keypoints", "repertoire", "training"]),
    st.sampled_from([checkpoint.FORMAT, "[" * 5000, "{}", '{"size": 1e999}', "9" * 5000, "null"])
    | st.text(max_size=20),
)


@quick
@given(
    st.dictionaries(st.sampled_from(["plate", "poses", "net.a", ""]) | st.text(max_size=5), entry | data, max_size=4),
    metadata | data,
    st.binary(max_size=64),
    st.integers(0, 60),
)
@example({}, {"format": checkpoint.FORMAT, "network": "[" * 100_000}, b"", 0)
@example({"plate": {"dtype": "U8", "shape": [1 << 62, 4], "data_offsets": [0, 8]}}, {}, b"12345678", 0)
def test_any_performer_file_is_refused_with_a_sentence(
    tmp_path: Path, tensors: dict[str, Any], about: Any, tail: bytes, cut: int
) -> None:
    path = tmp_path / "p.safetensors"
    whole = header({"__metadata__": about, **tensors}, tail)
    for content in (whole, whole[:cut], struct.pack("<Q", 1 << 63) + whole, header(DEEP), header(b"null"), tail):
        path.write_bytes(content)
        for read in (checkpoint.look, checkpoint.read):
            with pytest.raises(BadInput) as caught:
                read(path)
            assert str(caught.value).startswith(f"The performer {path} ") and isinstance(caught.value, EngineError)
