"""`run_engine.py --setup`, once `.venv` is there. Each step may be cut off and repeated."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from engine.clock import now_ns
from engine.errors import EngineError
from engine.models import COMMAND, FOLDER
from engine.setup import fetch, packages
from engine.setup.launch import VENV

STAMP = VENV / "utsushi-setup.json"  # what was installed last


def setup(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Install and fetch what is not there yet. Returns the options and the words that are not for us."""
    options, rest = _parser().parse_known_args(argv)
    done = _read_stamp()
    torch = options.torch or done.get("torch") or "cpu"
    current = done == {"digest": packages.digest(), "torch": torch}
    needed = packages.dependencies() + packages.extra("record") + packages.extra("test")
    with _step(1, "pip"):
        packages.provide_pip()
    if current and not packages.missing(needed):
        print("[2/4] packages: as they should be\n[3/4] torch: as it should be")
    else:
        STAMP.unlink(missing_ok=True)
        with _step(2, "packages"):
            _install_packages(needed)
        with _step(3, f"torch ({torch})"):
            torch = _install_torch(torch, must=bool(options.torch))
        STAMP.write_text(json.dumps({"digest": packages.digest(), "torch": torch}), encoding="utf-8")
    with _step(4, f"model files, into {FOLDER}"):
        fetch.fetch_all()
    print("The setup is complete.", flush=True)
    return options, rest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py",
        allow_abbrev=False,
        description="Set up this folder, then go on as if the setup's own options had not been given.",
    )
    parser.add_argument("--setup", action="store_true", help="install the packages and fetch the model files")
    parser.add_argument("--no-run", action="store_true", help="set up and do nothing more")
    parser.add_argument(
        "--torch", type=_torch, metavar="BUILD",
        help="cpu (the default), none, or a version such as 2.13.0+cu130; remembered for the next setup",
    )  # fmt: skip
    return parser


def _torch(text: str) -> str:
    if text in ("cpu", "none") or re.fullmatch(r"\d[\w.+]*", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither cpu, none nor a version")


def _read_stamp() -> dict:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # never set up, or cut off while it was written
        return {}
    return stamp if isinstance(stamp, dict) else {}


@contextmanager
def _step(number: int, what: str) -> Iterator[None]:
    print(f"[{number}/4] {what}", flush=True)
    started = now_ns()
    yield
    print(f"[{number}/4] done in {(now_ns() - started) / 1e9:.1f} s", flush=True)


def _install_packages(needed: list[str]) -> None:
    if not packages.install(needed):
        raise EngineError(
            f"pip could not install the packages; its lines above say why. When that is mended: {COMMAND} --setup"
        )
    packages.load_opencv()
    if not packages.install(packages.extra("bench")):
        print("The benchmark's rivals are not to be had for this system. Nothing else needs them.")
    if not packages.install(packages.extra("realsense")):
        print("There is no pyrealsense2 for this system: RealSense cameras cannot be used. Nothing else needs it.")


def _install_torch(build: str, must: bool) -> str:
    """Returns the build that is there now. Without it figures are still drawn, so a default does not stop the setup."""
    if build == "none":
        return build
    version = packages.pinned("torch") if build == "cpu" else build
    wanted = f"torch=={version}"
    # Elsewhere the plain version is the CPU build; on Linux it brings gigabytes for CUDA along.
    if build == "cpu" and sys.platform == "linux":
        if packages.available(f"{wanted}+cpu"):
            wanted += "+cpu"
        else:
            print("pip knows no torch for the CPU alone: the full one comes, some 3 GB with CUDA. docs/SETUP.md says "
                  "how to avoid that.", flush=True)  # fmt: skip
    if packages.install([wanted]):
        return build
    if must:
        raise EngineError(f"{wanted} could not be installed; pip's lines above say why, docs/SETUP.md where to look.")
    print("torch is left out; pip's lines above say why. Figures are drawn, but no performer can be trained or shown.")
    return "none"
