"""The benchmark of performers: its rivals are what they are called, its rounds take turns, and it runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodes.generator.backends.base import MODULES

torch = pytest.importorskip("torch")

from bench import diffusion_shape, performer, performer_step, pix2pix  # noqa: E402
from bench.performer import DIFFUSION, PIX2PIX, Row  # noqa: E402


def parameters(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_the_rivals_have_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        assert round(parameters(pix2pix.resnet()) / 1e6, 3) == 11.378
        assert round(parameters(pix2pix.unet()) / 1e6, 3) == 54.414
        step = diffusion_shape.Step()
    assert parameters(step.unet) == 865_910_724
    assert [round(parameters(each) / 1e6, 2) for each in (step.encoder, step.decoder)] == [1.22, 1.22]


def test_the_full_rivals_make_pictures_of_pictures() -> None:
    """Shapes only: on torch's meta device nothing is computed."""
    with torch.device("meta"):
        for make, size in ((pix2pix.resnet, 256), (pix2pix.unet, 256), (diffusion_shape.Step, 512)):
            assert make().eval()(torch.zeros(1, 3, size, size)).shape == (1, 3, size, size)


def test_the_benchmark_of_a_step_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "step.json"
    assert performer_step.main(["--size", "64", "--steps", "3", "--json", str(figures)]) == 0
    assert capsys.readouterr().out.count("<= 1.5 ms") == performer_step.BARS
    assert json.loads(figures.read_text()).keys() == performer_step.CASES.keys()


def test_rounds_begin_with_another_row_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(performer, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def row(name: str, seconds: float) -> Row:
        def run() -> None:
            order.append(name)
            clock.now += seconds

        return Row(name, run)

    rows = [row("torch", 0.01), row("quick", 0.005), row("slow", 0.3)]
    performer.measure(rows, rounds=3)
    turns = [name for name, before in zip(order, ["", *order], strict=False) if name != before]
    assert "".join(name[0] for name in turns) == "tqs" + "tqs" + "qst" + "stq", "once to warm up, then three rounds"
    assert [round(each.milliseconds, 6) for each in rows] == [10, 5, 300]
    assert order.count("quick") == 1 + 3 * (1 + performer.RUNS) and order.count("slow") == 1 + 3 * (1 + 2)
    assert rows[1].result(rows[0])["times_eager"] == pytest.approx(2)
    rows[0].rounds, rows[1].rounds = [10, 40, 10], [5, 10, 10]
    assert rows[1].result(rows[0])["times_eager"] == 2, "the median of the rounds' ratios"


def test_bars_are_told_where_the_run_can_tell_them() -> None:
    def rows(**fps: float) -> dict:
        return {name.replace("_", "-"): {"fps": value} for name, value in fps.items()}

    tiny = {"label": "tiny 256", "rows": {**rows(torch=100.0, onnx=150.0, onnx_int8=170.0), PIX2PIX[0]: {"fps": 900}}}
    large = {"label": "large 512", "rows": {**rows(cuda_graphs=900.0), DIFFUSION: {"fps": 100.0}}}
    told = [(bar["what"], bar["met"]) for bar in performer.bars([tiny, large], "cpu")]
    assert told[:2] == [("tiny 256, eager, fps", True), ("tiny 256, onnx-int8, fps", False)]
    assert [met for _, met in told[2:]] == [True, True]
    assert performer.bars([{"label": "base 256", "rows": {}}], "cpu") == []


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert performer.main(["--smoke", "--threads", "1", "--device", "cpu", "--json", str(tmp_path / "f.json")]) == 0
    (found,) = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))["performers"]
    assert set(MODULES) == {*found["refused"], *(set(found["rows"]) - {*PIX2PIX, DIFFUSION})}
    assert {*PIX2PIX, DIFFUSION, "torch"} <= set(found["rows"])
    assert found["rows"]["torch"]["times_eager"] == 1 and found["rows"]["torch"]["difference"] == 0
    printed = capsys.readouterr().out
    assert "cuda-graphs               no CUDA device" in printed and "\ntorch " in printed


def test_a_bad_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"x")
    assert performer.main([str(bad), "--device", "cpu"]) == 1
    assert f"The performer {bad} is no whole safetensors file" in capsys.readouterr().out
