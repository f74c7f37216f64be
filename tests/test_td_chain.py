"""Prepare, poses, generate, notify: the chain on the real clip, run and cancelled by the component's own buttons."""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import psutil
import pytest
from engine_kit import leftovers
from td_kit import Desk

from engine.errors import EngineError
from engine.models import model_path
from engine.process import ROOT
from nodes.poses_file import PosesFile

pytest.importorskip("av", reason="writing videos needs the optional package av")
try:
    MISSING = ""
    model_path("pose_detection.tflite"), model_path("pose_landmark_lite.tflite")
except EngineError as error:
    MISSING = str(error)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

FRAMES = 6
NAME = f"j{os.getpid() % 100000}"
CLIP, PERFORMER = ROOT / "assets" / "visitor.mp4", ROOT / "assets" / "performer.safetensors"
# The artist's own program: brings a file from a disk that is asleep when it is first asked for it.
FETCH = """
import json, pathlib, shutil, sys
source, target = map(pathlib.Path, sys.argv[1:])
asked = target.with_suffix(".asked")
if not asked.exists():
    asked.touch()
    sys.exit("the disk is asleep")
print(json.dumps({"progress": 0.5, "eta_s": 0.1, "text": "half of it"}), flush=True)
shutil.copy(source, target)
"""
# The performer is not there when it is first needed; what `generate` leads to on failure brings it.
STAGE_COLUMNS = ["stage", "command", "options", "next", "on_fail", "timeout", "retries"]
STAGES = [
    ["clip", "fetch", "clip_options", "prepare", "", "60", "2"],
    ["prepare", "engine", "prepare_options", "poses", "", "120", ""],
    ["poses", "engine", "poses_options", "generate", "", "120", ""],
    ["generate", "engine", "generate_options", "tell", "performer", "120", ""],
    ["performer", "fetch", "performer_options", "again", "", "60", "2"],
    ["again", "engine", "generate_options", "tell_late", "", "120", ""],
    ["#off", "nothing", "nowhere", "", "", "", ""],
    ["tell", "notify", "tell_options", "", "", "", ""],
    ["tell_late", "notify", "tell_options", "", "", "", ""],
]
CALLBACKS = "import json\n" + "".join(
    f"def {name}(info): parent().op('news').appendRow(['{name}', json.dumps(info)])\n"
    for name in ("onStart", "onProgress", "onLog", "onDone", "onFail", "onCancel")
)


def options(folder: Path, port: int) -> dict[str, list[list[str]]]:
    return {
        "fetch_takes": [
            ["key", "type", "word", "required", "output"],
            ["from", "path", "-", "1", ""], ["to", "path", "-", "1", "1"],
        ],
        "clip_options": [["from", str(CLIP)], ["to", str(folder / "clip.mp4")]],
        "prepare_options": [
            ["config", "configs/prepare.yaml"], ["engine.name", f"{NAME}-a"], ["# half a second in", ""],
            ["camera.source", "{prev.out}"], ["camera.start", "0.5"], ["camera.seconds", str(FRAMES / 30)],
            ["camera.size", "[216, 256]"], ["video.path", str(folder / "prepared.mp4")], ["", ""],
        ],
        "poses_options": [
            ["config", "configs/poses.yaml"], ["engine.name", f"{NAME}-b"], ["pose.quality", "lite"],
            ["camera.source", "{prev.out}"], ["poses.path", str(folder / "poses.jsonl")],
        ],
        "generate_options": [
            ["config", "configs/generate.yaml"], ["engine.name", f"{NAME}-c"], ["pose.path", "{poses.out}"],
            ["performer.performer", str(folder / PERFORMER.name)], ["performer.size", "128"],
            ["video.path", str(folder / "performance.mp4")],
        ],
        "performer_options": [["from", str(PERFORMER)], ["to", str(folder / PERFORMER.name)]],
        "tell_options": [
            ["to", f"127.0.0.1:{port}"], ["text", "{prev.stage}: 出来た"], ["value", "video={prev.out}"],
            ["value", "poses={poses.out}"],
        ],
    }  # fmt: skip


class Show:
    """The component with its tables filled in, and a UDP In DAT of the artist's own that waits for the result."""

    def __init__(self, folder: Path):
        self.folder, self.lost = folder, []
        self.desk = desk = Desk(f"{NAME}-none")
        desk.par.Python = sys.executable
        self.ready = desk.td.find(desk.td.root, "/project1").create("udpinDAT", "ready")
        self.ready.par.port, self.ready.par.format, self.ready.par.active = _free_port(), "permessage", True
        desk.comp.op("job_callbacks").text = CALLBACKS
        (folder / "fetch.py").write_text(FETCH, encoding="utf-8")
        self.table("news", [])
        self.table(
            "commands", [["command", "options", "argv"], ["fetch", "fetch_takes", "python", folder / "fetch.py"]]
        )
        for name, rows in options(folder, self.ready.par.port.eval()).items():
            self.table(name, rows)
        self.lose_messages()

    def table(self, name: str, rows: list[list[Any]]) -> None:
        table = self.desk.comp.op(name) or self.desk.comp.create("tableDAT", name)
        table.clear()
        for row in rows:
            table.appendRow(row)

    def lose_messages(self) -> None:
        """The first message to the DAT `job_events` is lost, and every third one after it."""
        port = self.desk.comp.op("job_events").port
        receive, number = port.receive, itertools.count()

        def some() -> list[bytes]:
            data = [(next(number) % 3 == 0, one) for one in receive()]
            self.lost += [json.loads(one) for is_lost, one in data if is_lost]
            return [one for is_lost, one in data if not is_lost]

        port.receive = some

    def run(self, stages: list[list[str]]) -> None:
        self.table("stages", [STAGE_COLUMNS, *stages])
        self.table("news", [])
        self.lost.clear()
        self.desk.press("Runjobs")

    def frames_until(self, condition: Callable[[], Any]) -> None:
        self.desk.until(condition, 200)

    def has_ended(self) -> bool:
        return not self.desk.alive.jobs.busy

    @property
    def news(self) -> list[tuple[str, dict[str, Any]]]:
        """What the callbacks were called with: their names, and the dicts."""
        return [(name, json.loads(info)) for name, info in self.desk.table("news")]

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """Callback, stage and which try, of what begins and ends."""
        passing = ("onProgress", "onLog")
        return [(name, info["stage"], info["attempt"]) for name, info in self.news if name not in passing]

    @property
    def status(self) -> dict[str, Any]:
        (path,) = (self.folder / "home" / "jobs").glob(f"{self.desk.alive.jobs.job}.json")
        return json.loads(path.read_text(encoding="utf-8"))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    folder = tmp_path_factory.mktemp("show")
    others = psutil.Process().children(recursive=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UTSUSHI_HOME", str(folder / "home"))
        show = Show(folder)
        yield show
        show.desk.close()
        ours = [process for process in psutil.Process().children(recursive=True) if process not in others]
        _, left = psutil.wait_procs(ours, timeout=20)
    assert left == [], "what was started here ends with TouchDesigner"


@pytest.fixture(scope="module")
def ran(show: Show) -> SimpleNamespace:
    """One run from the clip to the notice, and what there was of it at its end."""
    show.run(STAGES)
    show.frames_until(show.has_ended)
    show.frames_until(lambda: show.ready.table and "All is done" in show.desk.par.Jobstatus.eval())
    return SimpleNamespace(
        folder=show.folder, news=show.news, told=show.told, lost=list(show.lost), status=show.status,
        notices=[json.loads(row[0]) for row in show.ready.table], jobs=show.desk.alive.jobs,
        line=show.desk.par.Jobstatus.eval(), progress=show.desk.par.Jobprogress.eval(),
    )  # fmt: skip


def test_the_chain_goes_its_way_through_a_retry_and_a_failure(ran: SimpleNamespace) -> None:
    assert ran.told == [
        ("onStart", "", 1),
        ("onStart", "clip", 1), ("onStart", "clip", 2), ("onDone", "clip", 2),
        ("onStart", "prepare", 1), ("onDone", "prepare", 1),
        ("onStart", "poses", 1), ("onDone", "poses", 1),
        ("onStart", "generate", 1), ("onFail", "generate", 1),
        ("onStart", "performer", 1), ("onStart", "performer", 2), ("onDone", "performer", 2),
        ("onStart", "again", 1), ("onDone", "again", 1),
        ("onStart", "tell_late", 1), ("onDone", "tell_late", 1),
        ("onDone", "", 1),
    ], ran.jobs.message  # fmt: skip
    assert ran.jobs.state == "done" and "All is done" in ran.jobs.message


def test_it_says_why_a_try_failed(ran: SimpleNamespace) -> None:
    tries = [info for name, info in ran.news if name == "onLog" and info["text"].startswith("Try 1 of 3 has failed:")]
    assert [info["stage"] for info in tries] == ["clip", "performer"]
    assert all("the disk is asleep" in info["text"] and info["exit_code"] == 1 for info in tries)
    (failure,) = [info for name, info in ran.news if name == "onFail"]
    assert PERFORMER.name in failure["text"] and failure["exit_code"] not in (0, None) and failure["outputs"] == {}


def test_lost_messages_are_heard_all_the_same_once_and_in_order(ran: SimpleNamespace) -> None:
    heard = [info for _, info in ran.news]
    assert ran.lost[0] == heard[0] and len(ran.lost) > 5
    assert [info["seq"] for info in heard] == sorted({info["seq"] for info in heard})
    whole = [event for event in ran.status["events"] if event["event"] != "progress"]
    assert [info for info in heard if info["event"] != "progress"] == whole, "word for word what the runner has said"
    assert all(event["job"] == ran.jobs.job for event in heard) and ran.status["state"] == "done"


def test_it_tells_how_far_it_is(ran: SimpleNamespace) -> None:
    told = [info for name, info in ran.news if name == "onProgress"]
    assert told and all(0 <= info["progress"] <= 1 for info in told)
    for stage in {info["stage"] for info in told}:
        steps = [(info["attempt"], info["progress"]) for info in told if info["stage"] == stage]
        assert steps == sorted(steps)
    assert (ran.jobs.stage, ran.jobs.progress, ran.jobs.eta_s) == ("", 1.0, None)
    assert (ran.line, ran.progress) == ("All is done: tell_late was the last stage.", 1.0), "on the page Jobs"


def test_the_outputs_go_from_stage_to_stage(ran: SimpleNamespace) -> None:
    clip, prepared, poses, video = (
        str(ran.folder / name) for name in ("clip.mp4", "prepared.mp4", "poses.jsonl", "performance.mp4")
    )
    outputs = {info["stage"]: info["outputs"] for name, info in ran.news if name == "onDone"}
    assert outputs["clip"] == {"to": clip, "out": clip}
    assert outputs["prepare"] == {"video": prepared, "out": prepared}
    assert outputs["poses"] == {"poses": poses, "out": poses}
    assert outputs["again"] == {"video": video, "out": video}


def test_the_results_are_whole(ran: SimpleNamespace) -> None:
    assert _pictures(ran.folder / "prepared.mp4") == (FRAMES, (256, 216, 3))
    poses = list(PosesFile(ran.folder / "poses.jsonl").read())
    assert len(poses) == FRAMES and all(one.canvas == (216, 256) and len(one.people) == 1 for one in poses)
    assert [round(one.time, 3) for one in poses] == [round(number / 30, 3) for number in range(FRAMES)]
    assert _pictures(ran.folder / "performance.mp4") == (FRAMES, (128, 128, 3))
    assert _halves(ran.folder) == []


def test_one_notice_names_what_was_made(ran: SimpleNamespace) -> None:
    (notice,) = ran.notices
    assert abs(notice.pop("wall_ns") - ran.status["events"][-1]["wall_ns"]) < 60e9
    assert notice == {
        "format": "utsushi.notice/1", "text": "again: 出来た",
        "values": {"video": str(ran.folder / "performance.mp4"), "poses": str(ran.folder / "poses.jsonl")},
    }  # fmt: skip


def test_a_run_that_is_cancelled_leaves_nothing_alive_and_no_half_file(show: Show, ran: SimpleNamespace) -> None:
    """In the middle of the poses of the whole clip, over the poses of the first run."""
    before = (ran.folder / "poses.jsonl").read_bytes()
    whole = options(ran.folder, 1)["poses_options"]
    show.table("poses_options", [[key, str(CLIP) if value == "{prev.out}" else value] for key, value in whole])
    show.run([row for row in STAGES if row[0] not in ("clip", "prepare")])
    half = ran.folder / "poses.jsonl.part"
    show.frames_until(lambda: half.exists() and half.stat().st_size)
    runner = psutil.Process(show.desk.alive.jobs._process.pid)
    family = [runner, *runner.children(recursive=True)]
    assert len(family) >= 4, "the runner, an engine and its nodes"
    show.desk.press("Canceljobs")
    show.frames_until(show.has_ended)
    assert show.told == [
        ("onStart", "", 1), ("onStart", "poses", 1), ("onCancel", "poses", 1), ("onCancel", "", 1),
    ]  # fmt: skip
    assert (show.desk.alive.jobs.state, show.status["state"]) == ("cancelled", "cancelled")
    show.frames_until(lambda: "ancelled" in show.desk.par.Jobstatus.eval())
    _, left = psutil.wait_procs(family, timeout=20)
    assert left == [] and leftovers(f"{NAME}-b") == []
    assert _halves(ran.folder) == [] and (ran.folder / "poses.jsonl").read_bytes() == before
    assert len(show.ready.table) == 1, "nobody was told that anything is ready"


def _pictures(path: Path) -> tuple[int, tuple[int, ...]]:
    """How many a video has, and their shape; none of them is empty."""
    video, count = cv2.VideoCapture(str(path)), 0
    while (found := video.read())[0]:
        picture, count = found[1], count + 1
        assert picture.std() > 10
    return count, picture.shape


def _halves(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if ".part" in path.suffixes]
