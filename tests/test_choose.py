"""Which backend runs: tried and timed in a child process, the quickest good one kept, every other's fault said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from performer_kit import SIZE, people, write_performer

from engine.errors import BadInput, OutOfMemory
from nodes.generator.backends import cache, choose, prepare
from nodes.generator.backends.cache import Prepared
from nodes.generator.backends.eager import Eager

pytest.importorskip("torch")


@pytest.fixture(autouse=True, name="home")
def home_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(name="performer", scope="module")
def performer_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_performer(tmp_path_factory.mktemp("performer") / "performer.safetensors")


# --- decide, in this process, with backends of the tests' own ---


class Fake:
    """Paints as torch does on the CPU, and adds `off` to `share` of the bytes."""

    name, batches = "fake", (1, 2, 4)

    def __init__(self, off: int = 0, share: int = 1, refuses: str | None = None, raises: Exception | None = None):
        self.off, self.share, self.refuses, self.raises = off, share, refuses, raises

    def refusal(self, device: str) -> str | None:
        return self.refuses

    def build(self, source: Path, folder: Path) -> Path:
        if self.raises:
            raise self.raises
        return source

    def open(self, artefact: Path, device: str, threads: int) -> Fake:
        self._exact = Eager(artefact, "cpu", 1)
        return self

    def run(self, points: np.ndarray, out: np.ndarray) -> None:
        self._exact.run(points, out)
        some = out.reshape(-1)[:: self.share]
        some[:] = np.where(some < 128, some + self.off, some - self.off)

    def close(self) -> None: ...


@pytest.fixture(name="decide")
def decide_fixture(performer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Prepared]:
    """decide(task settings, times, backend=Fake(…), …): times are what the clock would say, in milliseconds."""

    def decide(settings: dict[str, Any], times: dict[str, float], **fakes: Fake) -> Prepared:
        named = {name.replace("_", "-"): fake for name, fake in fakes.items()}
        monkeypatch.setattr(prepare, "MODULES", dict.fromkeys(named))
        monkeypatch.setattr(prepare, "kind", named.__getitem__)
        monkeypatch.setattr(prepare, "milliseconds", lambda backends, *_: {name: times[name] for name in backends})
        (tmp_path / "built").mkdir()
        usual = {"backend": "auto", "device": "cpu", "threads": 1, "refused": {}, "sha256": cache.digest(performer)}
        return prepare.decide(prepare.Task(path=performer, folder=tmp_path / "built", **{**usual, **settings}))

    return decide


def test_auto_keeps_the_quickest_and_says_why_each_other_is_not_used(decide: Any) -> None:
    chosen = decide(
        {"refused": {"hung": "a process that tried it was not done after 300 s"}},
        {"slow": 6.5, "quick": 5.0, "off-by-two": 7.5},
        slow=Fake(), quick=Fake(off=1), off_by_two=Fake(off=2), off_by_three=Fake(off=3),
        absent=Fake(refuses="not installed; pip install absent"), hung=Fake(),
        full=Fake(raises=OutOfMemory("No room.")),
        broken=Fake(raises=ValueError("no such operator\nat line 3")),
    )  # fmt: skip
    assert (chosen.backend, chosen.difference, chosen.device, chosen.size) == ("quick", 1, "cpu", SIZE)
    assert chosen.decibels == pytest.approx(48.1, abs=0.1)
    assert chosen.milliseconds == {"slow": 6.5, "quick": 5.0, "off-by-two": 7.5}
    assert chosen.refused == {
        "hung": "a process that tried it was not done after 300 s",
        "slow": "1.3 x slower than quick",
        "off-by-two": "1.5 x slower than quick",
        "off-by-three": "its pictures differ from torch's by 3 of 255, and 2 are allowed",
        "absent": "not installed; pip install absent",
        "full": "No room",
        "broken": "ValueError: no such operator",
    }


def test_eight_bit_arithmetic_is_judged_by_its_noise(decide: Any) -> None:
    """A tenth of a percent of the bytes is far off: 44 dB. All a little: 38 dB."""
    chosen = decide({}, {"rare-int8": 1.0, "torch": 2.0}, torch=Fake(), rare_int8=Fake(50, 1000), all_int8=Fake(3))
    assert (chosen.backend, chosen.difference) == ("rare-int8", 50)
    assert chosen.refused["all-int8"] == "its pictures are 38.6 dB from torch's, and 40 dB are asked for"


def test_a_named_backend_is_the_only_one_tried(decide: Any) -> None:
    chosen = decide({"backend": "slow"}, {"slow": 9.0}, slow=Fake(), quick=Fake(raises=AssertionError("tried")))
    assert (chosen.backend, chosen.refused) == ("slow", {})


def test_a_named_backend_that_cannot_run_is_refused_in_its_own_words(decide: Any, performer: Path) -> None:
    with pytest.raises(BadInput) as caught:
        decide({"backend": "graphs"}, {}, graphs=Fake(refuses="no CUDA device"), torch=Fake())
    assert str(caught.value) == (
        f"The performer {performer} cannot run on cpu (graphs: no CUDA device). Choose another backend, or auto."
    )


def test_a_device_that_is_not_there_is_refused(decide: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA graphics card here")
    with pytest.raises(BadInput, match="finds no device 'cuda' here"):
        decide({"device": "cuda"}, {}, torch=Fake())


@pytest.mark.parametrize(("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_device_is_the_best_there_is(cuda: bool, mps: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert prepare.best_device("auto") == device
    assert prepare.best_device("cpu") == "cpu"


def test_a_file_that_changes_while_it_is_read_is_refused(decide: Any) -> None:
    with pytest.raises(BadInput, match="was replaced while it was read. Load it again"):
        decide({"sha256": "0" * 64}, {}, torch=Fake())


def test_a_time_is_the_quickest_run_of_rounds_in_which_all_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(prepare, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def runner(name: str, seconds: list[float]) -> Any:
        def run(points: np.ndarray, out: np.ndarray) -> None:
            order.append(name)
            clock.now += seconds[len(order) % len(seconds)]

        return SimpleNamespace(run=run)

    backends = {"even": runner("even", [0.004]), "uneven": runner("uneven", [0.003, 0.009])}
    found = prepare.milliseconds(backends, people(1), np.empty((1, SIZE, SIZE, 4), np.uint8))
    assert found == pytest.approx({"even": 4.0, "uneven": 3.0})
    turns = [name for name, before in zip(order, ["", *order], strict=False) if name != before]
    assert turns == ["even", "uneven"] * prepare.ROUNDS and len(order) == 2 * prepare.ROUNDS * (prepare.RUNS + 1)


# --- prepare and load, with the real child ---


def forbidden(*_: object) -> Any:
    raise AssertionError("a child process was started")


def test_a_performer_is_prepared_once_and_loads_without_torch(
    performer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = choose.prepare(performer, "onnx", "auto", threads=1)
    assert (prepared.path, prepared.backend, prepared.device) == (performer, "onnx", "cpu")
    assert prepared.artefact.is_file() and prepared.difference <= prepare.LARGEST_DIFFERENCE
    assert not list(prepared.artefact.parent.parent.glob("*.*")), "what it was built in is gone"
    monkeypatch.setattr(choose, "_run", forbidden)
    assert choose.prepare(performer, "onnx", "auto", threads=1) == prepared
    same = tmp_path / "same.safetensors"
    same.write_bytes(performer.read_bytes())
    assert choose.prepare(same, "onnx", "auto", threads=1) == replace(prepared, path=same)
    for other in ({"backend": "onnx", "threads": 2}, {"backend": "torch"}):
        with pytest.raises(AssertionError, match="was started"):
            choose.prepare(performer, **other)  # type: ignore[arg-type]
    code = (
        "import sys; from pathlib import Path; import numpy as np; from nodes.generator.backends import choose\n"
        "backend = choose.load(choose.prepare(Path(sys.argv[1]), 'onnx'))\n"
        "out = np.empty((1, 64, 64, 4), np.uint8); backend.run(np.load(sys.argv[2]), out); backend.close()\n"
        "assert not {'torch', 'onnx', 'onnxscript'} & set(sys.modules); np.save(sys.argv[3], out)"
    )
    np.save(tmp_path / "points.npy", people(1))
    files = [performer, tmp_path / "points.npy", tmp_path / "out.npy"]
    subprocess.run([sys.executable, "-c", code, *map(str, files)], cwd=choose.ROOT, check=True)
    exact = prepare.pictures(Eager(performer, "cpu", 1), people(1), SIZE)
    assert prepare.deviation(np.load(tmp_path / "out.npy"), exact)[0] <= prepare.LARGEST_DIFFERENCE


def test_auto_tries_all_there_is(performer: Path) -> None:
    prepared = choose.prepare(performer, threads=1)
    assert {prepared.backend, *prepared.refused} == set(choose.MODULES)
    assert set(prepared.milliseconds) >= {"torch", "onnx", "onnx-int8"}
    assert prepared.backend == min(prepared.milliseconds, key=lambda name: prepared.milliseconds[name])
    backend = choose.load(prepared)
    assert backend.name == prepared.backend
    backend.close()


def test_a_broken_file_is_the_childs_sentence(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no performer at all")
    with pytest.raises(BadInput, match=f"The performer {path} is no safetensors file"):
        choose.prepare(path)
    assert not list((home / "cache" / "performers").iterdir())


def test_a_missing_file_needs_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_run", forbidden)
    with pytest.raises(BadInput, match="missing.safetensors cannot be read: .* Check the path"):
        choose.prepare(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(("what", "settings"), [("backend", {"backend": "magic"}), ("device", {"device": "tpu"})])
def test_an_unknown_name_is_refused_with_those_there_are(what: str, settings: dict, performer: Path) -> None:
    with pytest.raises(BadInput, match=f"There is no {what} '.*'. Choose one of: auto, "):
        choose.prepare(performer, **settings)


def test_what_nobody_waits_for_any_more_is_given_up(performer: Path, home: Path) -> None:
    before, answers = psutil.Process().children(), iter([True, True])
    with pytest.raises(choose.Unwanted):
        choose.prepare(performer, "torch", "cpu", wanted=lambda: next(answers, False))
    assert set(psutil.Process().children()) <= set(before), "the child is gone"
    assert not list((home / "cache" / "performers").iterdir()), "and so is what it had begun"
