"""The config: what is accepted, and a sentence at the right place for everything that is not."""

from __future__ import annotations

import importlib
import json
import os
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from engine import config, layout
from engine.config import json_schema, load, registry, schema_text
from engine.config.graph import Edge
from engine.errors import ConfigError
from engine.ring_reader import Policy

ROOT = Path(__file__).parents[1]

NODES = {
    "camera/fake.py": """
        class Fake(Node):
            "Makes pictures."
            class Config(NodeConfig):
                source: Annotated[int, Field(ge=0)] | str = 0
                device: str = Field("", description="which one")
                size: tuple[int, int] | None = None
                fps: float = live(30.0, "pictures per second", gt=0)
                loop: bool = live(True, "start again at the end")
            outputs = {"image": Image(channels=3)}
        """,
    "camera/depth.py": """
        class Depth(Node):
            class Config(NodeConfig):
                mask: bool = False
            outputs = {"color": Image(channels=3), "depth": Image(channels=2)}

            @classmethod
            def outputs_of(cls, config):
                return cls.outputs | ({"mask": Image(channels=1)} if config.mask else {})
        """,
    "filter/pass_on.py": """
        class PassOn(Node):
            class Config(NodeConfig):
                style: Literal["calm", "quick"] = "calm"
                people: int = Field(1, ge=1, le=8)
            inputs = {"image": Latest}
            outputs = {"points": Keypoints(points=10)}
        """,
    "filter/mix.py": """
        class Mix(Node):
            inputs = {"image": Latest, "mask": Every}
            outputs = {"image": Image(channels=4)}
        """,
    "output/keep.py": """
        class Keep(Node):
            inputs = {"image": Every}
            gathers = True
        """,
    "filter/beside.py": """
        class Beside(Node):
            inputs = {"image": Latest, "depth": Paired}
            outputs = {"image": Image(channels=4)}
        """,
    "output/screen.py": """
        class Screen(Node):
            class Config(NodeConfig):
                path: str = Field(description="where to")
            inputs = {"image": Every}
        """,
    "output/paced.py": """
        class Paced(Node):
            inputs = {"image": Latest}
            paced = True
        """,
    "filter/helper.py": "raise RuntimeError('a helper is never imported for its name')\n",
    "broken/absent.py": "import no_such_package_at_all\n\n\nclass Absent(Node):\n    pass\n",
    "broken/syntax.py": "class Syntax(Node:\n",
    "broken/raises.py": "class Raises(Node):\n    1 / 0\n",
    "broken/two.py": "class One(Node):\n    pass\n\n\nclass Two(Node):\n    pass\n",
}
HEADER = """from typing import Annotated, Literal
from pydantic import Field
from engine.node import Every, Image, Keypoints, Latest, Node, NodeConfig, Paired, live
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    for name, text in NODES.items():
        path = folder / "trial_nodes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + textwrap.dedent(text), encoding="utf-8")
    return folder


@pytest.fixture
def trial(package, monkeypatch, tmp_path):
    """Load a text as a config, with the small nodes above in place of the real ones."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setattr(registry, "PACKAGE", "trial_nodes")

    def read(text: str | bytes) -> config.Config:
        path = tmp_path / "show.yaml"
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
        return load(path)

    return read


def refused(trial, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        trial(text)
    return str(caught.value)


def test_a_config_becomes_nodes_and_streams_in_order(trial):
    got = trial("""
        engine: {name: demo, port: 5000}
        nodes:
          out: {type: output.screen, path: x, input: {stream: points, policy: latest}}
          points: {type: filter.pass_on, input: camera, people: 2}
          camera: {type: camera.fake, source: clip.mp4, size: [640, 480], fps: 25}
    """)
    assert (got.engine.name, got.engine.mode, got.engine.port) == ("demo", "live", 5000)
    assert [node.name for node in got.nodes] == ["camera", "points", "out"]
    assert [node.inputs for node in got.nodes] == [
        {}, {"image": Edge("camera", Policy.LATEST)}, {"image": Edge("points", Policy.LATEST)},
    ]  # fmt: skip
    camera, points = got.streams if got.streams[0].name == "camera" else got.streams[::-1]
    assert (camera.node, camera.port, camera.capacity, camera.slots) == ("camera", "image", 640 * 480 * 3, 4)
    assert (points.capacity, points.readers, points.lossless) == (2 * 10 * 16, (("out", "image"),), False)
    assert got.nodes[0].config.fps == 25.0 and got.nodes[0].type == "camera.fake"
    rings = layout.ring_bytes(4, camera.capacity) + layout.ring_bytes(4, points.capacity)
    assert config.needed_bytes(got) == layout.DIRECTORY_BYTES + rings


def test_a_node_with_several_outputs_names_its_streams_by_port(trial):
    got = trial("""
        nodes:
          camera: {type: camera.depth}
          mix: {type: filter.mix, inputs: {image: camera.color, mask: camera.depth}}
    """)
    assert {stream.name for stream in got.streams} == {"camera", "camera.depth", "mix"}
    assert got.nodes[1].inputs == {
        "image": Edge("camera", Policy.LATEST), "mask": Edge("camera.depth", Policy.EVERY),
    }  # fmt: skip
    told = refused(trial, "nodes:\n  camera: {type: camera.depth}\n  p: {type: filter.pass_on, input: camera.mask}\n")
    assert "'camera.mask'; write mask: true into camera" in told
    told = refused(trial, "nodes:\n  camera: {type: camera.depth}\n  p: {type: filter.pass_on, input: camera.dpeth}\n")
    assert "'camera.dpeth'; that node makes camera, camera.depth" in told


def test_an_output_may_hang_on_a_setting_and_the_first_one_has_two_names(trial):
    got = trial("""
        nodes:
          camera: {type: camera.depth, mask: true}
          mix: {type: filter.mix, inputs: {image: camera.color, mask: camera.mask}}
    """)
    assert [stream.name for stream in got.streams if stream.node == "camera"] == [
        "camera",
        "camera.depth",
        "camera.mask",
    ]
    assert [edge.stream for edge in got.nodes[1].inputs.values()] == ["camera", "camera.mask"]


def test_a_gathering_node_names_its_inputs_itself(trial):
    text = "nodes:\n  camera: {{type: camera.depth}}\n  keep: {{type: output.keep, {}}}\n"
    inputs = (
        trial(text.format("inputs: {front: camera, its-depth: {stream: camera.depth, policy: latest}}")).nodes[1].inputs
    )
    assert inputs == {"front": Edge("camera", Policy.EVERY), "its-depth": Edge("camera.depth", Policy.LATEST)}
    assert trial(text.format("input: camera")).nodes[1].inputs == {"image": Edge("camera", Policy.EVERY)}
    assert "an input cannot be called 'A b'" in refused(trial, text.format("inputs: {A b: camera}"))
    assert "lines with a stream for each" in refused(trial, text.format("inputs: {}"))


def test_a_paired_input_goes_by_time_and_has_room_for_it(trial):
    both = "{{type: filter.beside, inputs: {{image: camera, depth: {}}}}}"
    text = f"nodes:\n  camera: {{{{type: camera.depth}}}}\n  both: {both}\n"
    got = trial(text.format("camera.depth"))
    assert got.nodes[1].inputs["depth"] == Edge("camera.depth", Policy.PAIRED)
    slots = {stream.name: stream.slots for stream in got.streams}
    assert (slots["camera"], slots["camera.depth"]) == (4, 16)
    told = refused(trial, text.format("{stream: camera.depth, policy: latest}"))
    assert "this input goes by the time of the first one" in told and "policy" in told
    got = trial("engine: {mode: offline}\n" + text.format("camera.depth"))
    assert got.nodes[1].inputs["depth"].policy is Policy.LOSSLESS


def test_offline_makes_every_edge_lossless(trial):
    got = trial("""
        engine: {mode: offline}
        nodes:
          camera: {type: camera.fake}
          out: {type: output.screen, path: x, input: {stream: camera, policy: latest}}
    """)
    assert got.nodes[1].inputs["image"].policy is Policy.LOSSLESS
    assert got.streams[0].lossless


def test_all_problems_are_told_with_place_line_and_caret(trial, tmp_path):
    told = refused(
        trial,
        """
        nodes:
          camera:
            type: camera.fake
            devcie: front
            fps: fast
          points: {type: filter.pass_on, input: camra}
        """,
    )
    file = tmp_path / "show.yaml"
    assert told.splitlines() == [
        f"{file}:4:5: unknown setting 'devcie'; did you mean 'device'?",
        "        devcie: front",
        "        ^",
        f"{file}:5:10: 'fps' must be a number, found the text 'fast'",
        "        fps: fast",
        "             ^",
        f"{file}:6:41: no node makes the stream 'camra'; did you mean 'camera'?",
        "      points: {type: filter.pass_on, input: camra}",
        "                                            ^",
    ]


CAMERA = "  camera: {type: camera.fake}\n"
REFUSED = {
    "unknown top key": ("nods: {}\nnodes:\n" + CAMERA, ":1:1:", "unknown setting 'nods'; did you mean 'nodes'?"),
    "no nodes": ("engine: {name: a}\n", ":1:1:", "'nodes' must be a block"),
    "nodes without entries": ("nodes:\n", ":1:1:", "'nodes' must be a block"),
    "node without settings": ("nodes:\n  camera:\n", ":2:3:", "at least type:"),
    "engine is a list": ("engine: [a]\nnodes:\n" + CAMERA, ":1:1:", "'engine' must be a block"),
    "engine name": ("engine: {name: My Show}\nnodes:\n" + CAMERA, ":1:16:", "1 to 16 small letters"),
    "engine mode": ("engine: {mode: offlin}\nnodes:\n" + CAMERA, ":1:16:", "must be 'live' or 'offline'"),
    "engine port": ("engine: {port: 70000}\nnodes:\n" + CAMERA, ":1:16:", "less than or equal to 65535, found 70000"),
    "node name": ("nodes:\n  My Cam: {type: camera.fake}\n", ":2:3:", "cannot be called 'My Cam'"),
    "node name on": ("nodes:\n  on: {type: camera.fake}\n", ":2:3:", "put it in quotes"),
    "no type": ("nodes:\n  camera: {tpye: camera.fake}\n", ":2:3:", "needs type:, one of"),
    "type is a number": ("nodes:\n  camera: {type: 5}\n", ":2:18:", "needs type:"),
    "unknown type": ("nodes:\n  camera: {type: camera.fak}\n", ":2:18:", "did you mean 'camera.fake'?"),
    "far unknown type": ("nodes:\n  camera: {type: zzzzzzz}\n", ":2:18:", "known are broken.absent"),
    "type outside nodes": ("nodes:\n  camera: {type: ..os.path}\n", ":2:18:", "no node type '..os.path'"),
    "helper module": ("nodes:\n  camera: {type: filter.helper}\n", ":2:18:", "no node type 'filter.helper'"),
    "missing package": (
        "nodes:\n  a: {type: broken.absent}\n",
        ":2:13:",
        "module 'no_such_package_at_all', which is not",
    ),
    "syntax error": ("nodes:\n  a: {type: broken.syntax}\n", ":2:13:", "cannot be imported (SyntaxError"),
    "import raises": ("nodes:\n  a: {type: broken.raises}\n", ":2:13:", "cannot be imported (ZeroDivisionError"),
    "two classes": ("nodes:\n  a: {type: broken.two}\n", ":2:13:", "defines 2 node classes"),
    "number as text": (
        'nodes:\n  c: {type: camera.fake, fps: "30"}\n',
        ":2:31:",
        "must be a number, found the text '30'",
    ),
    "yes as number": ("nodes:\n  c: {type: camera.fake, fps: yes}\n", ":2:31:", "must be a number, found true"),
    "text as switch": ("nodes:\n  c: {type: camera.fake, loop: 'on'}\n", ":2:32:", "must be true or false"),
    "off as text": ("nodes:\n  c: {type: camera.fake, device: off}\n", ":2:34:", "YAML reads on, off, yes and no"),
    "number for text": (
        "nodes:\n  c: {type: camera.fake, device: 5}\n",
        ":2:34:",
        "must be text, found 5; put it in quotes",
    ),
    "union": (
        "nodes:\n  c: {type: camera.fake, source: [1]}\n",
        ":2:34:",
        "must be a whole number or text, found a list",
    ),
    "limit in a union": (
        "nodes:\n  c: {type: camera.fake, source: -1}\n",
        ":2:34:",
        "'source' must be greater than or equal to 0, found -1\n",
    ),
    "short list": ("nodes:\n  c: {type: camera.fake, size: [512]}\n", ":2:32:", "'size' needs more values"),
    "long list": ("nodes:\n  c: {type: camera.fake, size: [1, 2, 3]}\n", ":2:32:", "a list of 2 values, found 3"),
    "list item": ("nodes:\n  c: {type: camera.fake, size: [1, b]}\n", ":2:36:", "'size' must be a whole number"),
    "limit": ("nodes:\n  c: {type: camera.fake, fps: 0}\n", ":2:31:", "'fps' must be greater than 0, found 0"),
    "not finite": ("nodes:\n  c: {type: camera.fake, fps: .inf}\n", ":2:31:", "'fps' must be a number, found Infinity"),
    "huge number": (f"nodes:\n  c: {{type: camera.fake, source: 0x{'f' * 9000}}}\n", ":2:3:", "cannot be used as"),
    "missing setting": (
        "nodes:\n" + CAMERA + "  o: {type: output.screen, input: camera}\n",
        ":3:3:",
        "the setting 'path' is missing (where to)",
    ),
    "unknown stream": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, input: camra}\n",
        ":3:36:",
        "no node makes the stream 'camra'; did you mean 'camera'?",
    ),
    "unknown stream, long form": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, input: {stream: camra}}\n",
        ":3:45:",
        "did you mean 'camera'?",
    ),
    "unknown key of an edge": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, input: {stream: camera, polcy: every}}\n",
        ":3:53:",
        "did you mean 'policy'?",
    ),
    "unknown policy": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, inputs: {image: {stream: camera, policy: all}}}\n",
        ":3:70:",
        "must be 'latest', 'every' or 'lossless'",
    ),
    "lossless while live": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, input: {stream: camera, policy: lossless}}\n",
        ":3:61:",
        "a live engine refuses it",
    ),
    "edge is a list": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, input: [camera]}\n",
        ":3:29:",
        "found a list",
    ),
    "no input": ("nodes:\n" + CAMERA + "  p: {type: filter.pass_on}\n", ":3:3:", "needs input:"),
    "an input too many": ("nodes:\n  c: {type: camera.fake, input: x}\n", ":2:26:", "reads nothing"),
    "input of two": ("nodes:\n" + CAMERA + "  m: {type: filter.mix, input: camera}\n", ":3:25:", "{image: …, mask: …}"),
    "input twice": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, input: camera, inputs: {image: camera}}\n",
        ":3:29:",
        "and nothing else",
    ),
    "port missing": (
        "nodes:\n" + CAMERA + "  m: {type: filter.mix, inputs: {image: camera}}\n",
        ":3:25:",
        "the input 'mask' is missing",
    ),
    "unknown port": (
        "nodes:\n" + CAMERA + "  p: {type: filter.pass_on, inputs: {imgae: camera}}\n",
        ":3:38:",
        "no input 'imgae'; did you mean 'image'?",
    ),
    "circle": (
        "nodes:\n  a: {type: filter.pass_on, input: b}\n  b: {type: filter.pass_on, input: a}\n",
        ":",
        "in a circle: ",
    ),
    "own output": ("nodes:\n  a: {type: filter.pass_on, input: a}\n", ":2:3:", "in a circle: a → a"),
    "paced offline": (
        "engine: {mode: offline}\nnodes:\n" + CAMERA + "  o: {type: output.paced, input: camera}\n",
        ":4:13:",
        "use output.video",
    ),
    "duplicate key": ("nodes:\n  c: {type: camera.fake, fps: 1, fps: 2}\n", ":2:34:", "'fps' stands twice"),
    "duplicate node": ("nodes:\n" + CAMERA + CAMERA, ":3:3:", "'camera' stands twice in this block, first in line 2"),
    "tab": ("nodes:\n\tcamera: {type: camera.fake}\n", ":2:1:", "indented with a tab"),
    "broken YAML": ("nodes:\n  c: {type: camera.fake\n  d: {type: x}\n", ":3:", "this is not YAML"),
    "two documents": ("nodes:\n" + CAMERA + "---\na: b\n", ":3:1:", "this is not YAML"),
    "control character": ("nodes:\n  c: {type: \x07camera.fake}\n", ":2:13:", "control character"),
    "text with a NUL": (
        "nodes:\n" + CAMERA + '  o: {type: output.screen, input: camera, path: "a\\0b"}\n',
        ":3:49:",
        "'path' cannot hold the character '\\x00', as the text 'a\\x00b' does; remove it",
    ),
    "text with half a character": (
        "nodes:\n" + CAMERA + '  o: {type: output.screen, input: camera, path: "a\\ud800b"}\n',
        ":3:49:",
        "'path' cannot hold the character '\\ud800'",
    ),
    "a list": ("- a\n", ":1:1:", "a config must be a block"),
    "text": ("hello\n", ":1:1:", "a config must be a block"),
    "key is a list": ("[a, b]: c\nnodes:\n" + CAMERA, ":1:1:", "a name is wanted before the colon"),
    "alias": ("a: &x [1]\nb: *x\n", ":1:4:", "anchors (&) and aliases (*) are not used here"),
    "alias bomb": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)),
        ":1:5:",
        "are not used here",
    ),
    "merge key": ("nodes:\n  c: {<<: {a: b}, type: camera.fake}\n", ":2:7:", "put it in quotes"),
    "tag": ("nodes:\n  c: !!python/object/apply:os.system [x]\n", ":2:6:", "tags such as"),
    "impossible tag": ("nodes:\n  c: {type: camera.fake, fps: !!int abc}\n", ":2:31:", "cannot be read as its kind"),
    "deep": ("a: " + "[" * 20_000, ":1:", "nested more than 16 deep"),
}


@pytest.mark.parametrize(("text", "place", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refused_with_a_sentence_at_its_place(trial, tmp_path, text, place, sentence):
    told = refused(trial, text)
    assert told.startswith(f"{tmp_path / 'show.yaml'}{place}"), told
    assert sentence in told
    assert told.count("show.yaml:") == 1


def test_the_readers_of_a_refused_node_are_not_refused_too(trial):
    told = refused(
        trial, "nodes:\n  camera: {type: camera.fake, fps: -1}\n  p: {type: filter.pass_on, input: camera}\n"
    )
    assert "must be greater than 0" in told and "no node makes" not in told


def test_dates_and_byte_order_marks_are_just_text(trial):
    got = trial(b"\xef\xbb\xbfnodes:\r\n  c: {type: camera.fake, device: 2026-01-02}\r\n")
    assert got.nodes[0].config.device == "2026-01-02"
    assert "\n    nods: {}\n    ^" in refused(trial, b"\xef\xbb\xbfnods: {}\n")


def test_not_utf8_is_told_with_its_place(trial, tmp_path):
    told = refused(trial, "nodes:\n  c: {type: camera.fake, device: Käfer}\n".encode("latin-1"))
    assert told.startswith(f"{tmp_path / 'show.yaml'}:2:35: the file is not UTF-8")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_an_empty_file_is_told(trial, text):
    assert "the file is empty" in refused(trial, text)


def test_files_that_cannot_be_read_are_told(tmp_path, trial):
    for path, sentence in [(tmp_path / "absent.yaml", "no such file"), (tmp_path, "a folder"), (Path("a\0b"), "")]:
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert sentence in str(caught.value)
    assert "larger than 100 kB" in refused(trial, "# " + "x" * 200_000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    told: list[str] = []

    def attempt() -> None:
        try:
            load(tmp_path / "pipe.yaml")
        except ConfigError as error:
            told.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert told and "a folder or a device" in told[0]


def test_too_many_nodes_readers_and_streams(trial):
    many = "".join(f"  c{i}: {{type: camera.fake}}\n" for i in range(layout.MAX_NODES + 1))
    assert f"there are {layout.MAX_NODES + 1} nodes" in refused(trial, "nodes:\n" + many)
    readers = "".join(f"  p{i}: {{type: filter.pass_on, input: camera}}\n" for i in range(layout.MAX_READERS + 1))
    assert f"{layout.MAX_READERS + 1} inputs read the stream 'camera'" in refused(trial, "nodes:\n" + CAMERA + readers)
    streams = "".join(f"  d{i}: {{type: camera.depth}}\n" for i in range(layout.MAX_STREAMS // 2 + 1))
    assert f"make {layout.MAX_STREAMS + 2} streams" in refused(trial, "nodes:\n" + streams)


def test_many_problems_and_long_lines_stay_readable(trial):
    settings = ", ".join(f"zz{i}: 1" for i in range(50))
    told = refused(trial, f"nodes:\n  c: {{type: camera.fake, {settings}}}\n")
    assert told.endswith("… and 30 more") and told.count("unknown setting") == 20
    assert max(len(line) for line in told.splitlines() if line.startswith("    ")) <= 104
    lines = told.splitlines()
    for line, caret in zip(lines[1::3], lines[2::3], strict=False):
        assert line[caret.index("^") :].startswith("zz")


def test_known_types_are_found_without_importing(trial):
    known = registry.known_types()
    assert {"camera.fake", "broken.absent", "broken.syntax", "output.paced"} <= set(known)
    assert "filter.helper" not in known


def test_a_type_cannot_reach_a_file_elsewhere(trial, tmp_path):
    (tmp_path / "evil.py").write_text(HEADER + "class Evil(Node):\n    pass\n", encoding="utf-8")
    assert "there is no node type" in refused(trial, f"nodes:\n  a: {{type: {tmp_path}.evil}}\n")


def test_nodes_of_ones_own_may_lie_in_another_folder(trial, tmp_path, monkeypatch):
    own = tmp_path / "mine" / "trial_nodes" / "own" / "light.py"
    own.parent.mkdir(parents=True)
    own.write_text(HEADER + "class Light(Node):\n    pass\n", encoding="utf-8")
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path / "mine")])
    importlib.invalidate_caches()
    assert {"own.light", "camera.fake"} <= set(registry.known_types())
    assert registry.find("own.light").__name__ == "Light"


@pytest.fixture
def camera(trial):
    return trial("nodes:\n  camera: {type: camera.fake, source: 1, size: [8, 6]}\n").nodes[0]


def test_live_settings_change_and_leave_the_rest(camera):
    assert config.live_fields(camera.node_class) == ("fps", "loop")
    changed = config.change(camera, {"fps": 12, "loop": False})
    assert (changed.config.fps, changed.config.loop, changed.config.size) == (12.0, False, (8, 6))
    assert camera.config.fps == 30.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"fsp": 1}, "camera: no live setting 'fsp'; did you mean 'fps'?"),
        ({"size": [1, 1]}, "cannot change while the node runs"),
        ({"fps": -1}, "must be greater than 0, found -1; the old value stays"),
        ({"fps": "1"}, "must be a number"),
        ({"fps": float("nan")}, "must be a number"),
        ({"loop": b"x"}, "cannot be used as settings"),
        ({5: 1}, "no live setting 5"),
        ({"fps": r"\\host\share"}, "cannot name a share of another machine"),
        ({"fps": ["x", "//host/share"]}, "cannot name a share of another machine"),
        ({"fps": " \\/host"}, "cannot name a share of another machine"),
    ],
)
def test_a_bad_change_is_refused_whole(camera, values, sentence):
    with pytest.raises(ConfigError) as caught:
        config.change(camera, {"loop": False} | values)
    assert sentence in str(caught.value)
    assert camera.config.loop and camera.config.fps == 30.0


def test_the_schema_knows_each_node(trial, monkeypatch):
    monkeypatch.setattr(registry, "known_types", lambda: ["camera.fake", "filter.mix"])
    schema = json_schema()
    entry = schema["$defs"]["camera.fake"]
    assert entry["properties"]["type"] == {"const": "camera.fake", "description": "Makes pictures."}
    assert entry["properties"]["device"]["description"] == "which one"
    assert entry["additionalProperties"] is False and "input" not in entry["properties"]
    assert schema["$defs"]["filter.mix"]["properties"]["inputs"]["required"] == ["image", "mask"]


def test_every_reference_of_the_schema_leads_somewhere():
    schema = json_schema()

    def references(part):
        if isinstance(part, dict):
            yield from [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            part = list(part.values())
        if isinstance(part, list):
            for item in part:
                yield from references(item)

    found = list(references(schema))
    assert found
    for reference in found:
        target = schema
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_the_schema_in_configs_is_current():
    stored = (ROOT / "configs" / "utsushi.schema.json").read_text(encoding="utf-8")
    assert json.loads(stored) == json.loads(schema_text()), "run: python3 run_engine.py schema"


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("configs/*.yaml")} - {ROOT / "configs" / "jobs.yaml"}), ids=lambda path: path.name
)
def test_the_configs_that_come_with_it_are_good(path):
    assert load(path).nodes
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=utsushi.schema.json"


def test_the_example_in_the_documentation_is_good(tmp_path):
    page = (ROOT / "docs" / "CONFIG.md").read_text(encoding="utf-8")
    path = tmp_path / "example.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert [node.name for node in load(path).nodes] == ["camera", "pose", "figure", "output"]


def test_a_number_that_is_not_among_the_choices_is_not_to_be_quoted(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("engine: {name: a}\nnodes:\n  c: {type: camera.opencv, source: 0, rotate: 45}\n")
    with pytest.raises(ConfigError, match="must be 0, 90, 180 or 270, found 45\n"):
        load(path)
