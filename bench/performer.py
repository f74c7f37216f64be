"""Compare the backends of a performer with one another, and with pix2pix. See docs/BACKENDS.md.

python bench/performer.py [FILE.safetensors …] [--presets tiny base large] [--sizes 256 512] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.errors import BadInput
from nodes.generator.backends.base import MODULES, Backend, kind
from nodes.generator.backends.prepare import Refused, best_device, deviation, pictures
from nodes.generator.training.train_command import number_adder

ROUNDS, RUNS, LONGEST_S = 8, 10, 0.5  # runs of one backend in one round: so many, or for so long
EAGER, PIX2PIX, DIFFUSION = "torch", ("pix2pix ResNet-9", "pix2pix U-Net-256"), "SD-Turbo's shape"
POSES = 8  # to compare with


@dataclass
class Row:
    """One line of the table. rounds: milliseconds, the median of each round's runs. difference and decibels: from
    torch on the CPU in float32; None for what paints something else."""

    name: str
    run: Callable[[], object]
    difference: int | None = None
    decibels: float | None = None
    rounds: list[float] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        return statistics.median(self.rounds)

    def result(self, eager: Row) -> dict[str, Any]:
        times = statistics.median(theirs / ours for ours, theirs in zip(self.rounds, eager.rounds, strict=True))
        return {
            "milliseconds": self.milliseconds, "fps": 1e3 / self.milliseconds, "times_eager": times,
            "difference": self.difference, "decibels": self.decibels,
        }  # fmt: skip


class PictureToPicture:
    """A network that turns a picture into one, run as eager torch runs a performer; out come bytes in main memory."""

    def __init__(self, make: Callable[[], Any], size: int, device: str):
        import torch

        self._precision = torch.float16 if device == "cuda" else torch.float32
        with torch.device(device):
            self._network = make().eval().to(self._precision).to(memory_format=torch.channels_last)
        self._given = torch.rand(1, 3, size, size)
        self._device = device
        self._out = torch.empty(1, size, size, 3, dtype=torch.uint8)

    def __call__(self) -> None:
        import torch

        with torch.inference_mode():
            picture = self._network(self._given.to(self._device, self._precision))
            self._out.copy_((picture.permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8))


def open_backend(name: str, source: Path, folder: Path, device: str, threads: int) -> Backend:
    """Raises `Refused`."""
    module = kind(name)
    if why := module.refusal(device):
        raise Refused(why)
    try:
        return module.open(module.build(source, folder), device, threads)
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}".partition("\n")[0]) from error


def backend_rows(source: Path, device: str, threads: int, folder: Path) -> tuple[list[Row], dict[str, str], int]:
    """A row for each backend that runs here, why the others do not, and the pictures' size."""
    from nodes.generator.network import checkpoint

    performer = checkpoint.read(source)
    size, poses = performer.about.network.size, performer.poses[:POSES]
    reference = pictures(kind(EAGER).open(source, "cpu", threads), poses, size)
    rows, refused = [], {}
    for name in MODULES:
        try:
            backend = open_backend(name, source, folder, device, threads)
        except Refused as why:
            refused[name] = str(why)
            continue
        out = np.empty_like(reference[:1])
        compared = deviation(pictures(backend, poses, size), reference)
        rows.append(Row(name, lambda run=backend.run, out=out: run(poses[:1], out), *compared))  # type: ignore[misc]
    return rows, refused, size


def rivals(size: int, device: str, diffusion: bool, smoke: bool) -> Iterator[Row]:
    """pix2pix at this size, and a diffusion step if that is asked for. smoke: tiny versions of them."""
    from bench import diffusion_shape, pix2pix

    makers: list[Callable[[], Any]] = [pix2pix.resnet, pix2pix.unet]
    if smoke:
        makers = [lambda: pix2pix.resnet(8, 1), lambda: pix2pix.unet(8, 6)]
    for name, make in zip(PIX2PIX, makers, strict=True):
        yield Row(name, PictureToPicture(make, size, device))
    if diffusion or smoke:
        shape = diffusion_shape.SMALL if smoke else diffusion_shape.Shape()
        yield Row(DIFFUSION, PictureToPicture(lambda: diffusion_shape.Step(shape), size, device))


def measure(rows: list[Row], rounds: int = ROUNDS) -> None:
    """Fill in `rounds`. Each round begins with another row, so that noise and warmth meet all of them."""
    for row in rows:
        row.run()
    for number in range(rounds):
        turn = number % len(rows)
        for row in rows[turn:] + rows[:turn]:
            row.run()
            times: list[float] = []
            while len(times) < RUNS and sum(times) < LONGEST_S * 1e3:
                begun = time.perf_counter()
                row.run()
                times.append((time.perf_counter() - begun) * 1e3)
            row.rounds.append(statistics.median(times))


def compare(source: Path, label: str, options: argparse.Namespace, device: str) -> dict[str, Any]:
    print(f"  {label} …", file=sys.stderr)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows, refused, size = backend_rows(source, device, options.threads, Path(folder))
        rows += rivals(size, device, diffusion=device == "cuda" and label == "large 512", smoke=options.smoke)
        measure(rows, 2 if options.smoke else ROUNDS)
    return {"label": label, "size": size, "refused": refused, "rows": {row.name: row.result(rows[0]) for row in rows}}


def random_performer(path: Path, preset: str, size: int, smoke: bool, plate: tuple[int, int, int] = (0, 0, 0)) -> Path:
    """A file with random weights and poses: as quick as a trained one, and nothing to look at. plate: its colour."""
    import torch

    from nodes.generator.network import checkpoint
    from nodes.generator.network.painter import Painter, Shape
    from nodes.generator.network.painter import preset as shape_of
    from nodes.generator.playing.repertoire import measure as repertoire

    torch.manual_seed(0)
    shape = Shape(size, 8, 1, size // 4) if smoke else shape_of(preset, size)
    random = np.random.default_rng(0)
    poses = (random.uniform(0.2, 0.8, (32, 33, 4)) * (1, 1, 0.1, 1)).astype(np.float32)
    about = checkpoint.About(
        network=checkpoint.NetworkAbout(architecture=checkpoint.ARCHITECTURE, **shape.as_dict()),
        keypoints=checkpoint.KEYPOINTS, repertoire=repertoire(poses),
        training=checkpoint.Training(steps=0, minutes=0),
    )  # fmt: skip
    checkpoint.write(path, about, np.full((size, size, 3), plate, np.uint8), poses, Painter(shape))
    return path


def bars(found: list[dict[str, Any]], device: str) -> list[dict[str, Any]]:
    """What the project wants to reach, where this run can tell."""
    rows = {each["label"]: each["rows"] for each in found}
    listed: list[tuple[str, float, float]] = []
    if (tiny := rows.get("tiny 256")) and device == "cpu":
        best = max((name for name in tiny if name in MODULES), key=lambda name: tiny[name]["fps"])
        listed += [("tiny 256, eager, fps", tiny[EAGER]["fps"], 90), (f"tiny 256, {best}, fps", tiny[best]["fps"], 180)]
    if (large := rows.get("large 512")) and DIFFUSION in large and "cuda-graphs" in large:
        graphs = large["cuda-graphs"]["fps"]
        listed += [("large 512, CUDA graphs, fps", graphs, 700),
                   ("large 512, CUDA graphs / diffusion step", graphs / large[DIFFUSION]["fps"], 3)]  # fmt: skip
    return [{"what": what, "value": value, "limit": limit, "met": value >= limit} for what, value, limit in listed]


def machine(device: str, threads: int) -> dict[str, Any]:
    import torch

    versions = {}
    for package in ("torch", "onnxruntime", "openvino"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    card = {"card": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count(), "device": device,
            "threads": threads, **card, **versions}  # fmt: skip


def text(report: dict[str, Any]) -> str:
    """The report as plain text."""
    lines = ["  ".join(f"{key} {value}" for key, value in report["machine"].items())]
    for each in report["performers"]:
        lines += ["", f"{each['label']:24}{'ms':>8}{'fps':>8}{'x eager':>9}{'off by':>8}{'dB':>7}"]
        for name, row in each["rows"].items():
            line = f"{name:24}{row['milliseconds']:8.2f}{row['fps']:8.0f}{row['times_eager']:9.2f}"
            alike = "" if row["difference"] is None else f"{row['difference']:8}{row['decibels']:7.1f}"
            lines.append(line + alike)
        lines += [f"{name:24}  {why}" for name, why in each["refused"].items()]
    if report["bars"]:
        lines += ["", "Bars"]
        lines += [f"{bar['what']:44}{bar['value']:7.1f} >= {bar['limit']:<5} {'met' if bar['met'] else 'MISSED'}"
                  for bar in report["bars"]]  # fmt: skip
    return "\n".join(lines)


def arguments_of(arguments: list[str] | None) -> argparse.Namespace:
    from nodes.generator.network.painter import PRESETS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.safetensors", help="performers to measure")
    parser.add_argument("--presets", nargs="*", choices=list(PRESETS), default=None, help="with random weights")
    parser.add_argument("--sizes", nargs="*", type=int, choices=[256, 512, 1024], default=[256, 512])
    number_adder(parser)("--threads", 2, 1, 256, "of the processor")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    parser.add_argument("--smoke", action="store_true", help="see whether it runs: tiny networks, no figures to keep")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    if options.presets is None:
        options.presets = [] if options.files else list(PRESETS)
    return options


def main(arguments: list[str] | None = None) -> int:
    options = arguments_of(arguments)
    try:
        device = best_device(options.device)
        found = [compare(path, path.stem, options, device) for path in options.files]
        with tempfile.TemporaryDirectory() as folder:
            for size in [64] if options.smoke else options.sizes:
                for preset in options.presets[: 1 if options.smoke else None]:
                    path = random_performer(Path(folder) / "random.safetensors", preset, size, options.smoke)
                    found.append(compare(path, f"{preset} {size}", options, device))
    except BadInput as error:
        print(error)
        return 1
    report = {"machine": machine(device, options.threads), "performers": found, "bars": bars(found, device)}
    print(text(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
