"""What a program's lines say of its progress: ours, other people's, and lines that only look like it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.jobs import printed
from engine.progress import Progress


@pytest.mark.parametrize(
    "line, progress, eta_s",
    [
        ("[#########.....................] 18/60 frames, 12 s left", 0.3, 12),
        ("[..............................] 0/60 frames, starting", 0.0, None),
        ("Extracting   40%  12.3 pictures/s  1.5 min left", 0.4, 90),
        ("100%", 1.0, None),
        ("33.5 % done", 0.335, None),
        ("epoch 3/12", 0.25, None),
        (" 7 / 14 files, 2 h left", 0.5, 7200),
    ],
)
def test_progress(line: str, progress: float, eta_s: float | None) -> None:
    said = printed.read(line)
    assert said.progress == pytest.approx(progress) and said.eta_s == eta_s and said.text == line and not said.log


@pytest.mark.parametrize(
    "line",
    [
        "pose running 30 fps 12.1/14.2 ms, skipped 0 | latency 50/70 ms", "wrote out/3/4.png", "1920x1080", "140%",
        "3/2 of it", "1/0", "2026/01/02 12:00:00 started", "http://127.0.0.1/8/9", "v1.2/3", "", "{", "{}", "[1]",
        "5 s left",         '{"other": 1}', "{" * 5000, '{"progress": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_lines_that_are_none(line: str) -> None:
    assert printed.read(line).progress is None


@pytest.mark.parametrize(
    "line, expected",
    [
        ('{"progress": 0.4, "eta_s": 12, "text": "on"}', {"progress": 0.4, "eta_s": 12.0, "text": "on", "log": False}),
        ('{"progress": 7, "eta_s": -1}', {"progress": 1.0, "eta_s": 0.0}),
        ('{"progress": "x", "eta_s": NaN, "text": 3}', {"progress": None, "eta_s": None, "text": "3"}),
        ('{"progress": true}', {"progress": None}),
        ('{"outputs": {"out": "a.mp4", "n": 3}}', {"outputs": {"out": "a.mp4", "n": "3"}, "log": False}),
        ('{"outputs": ["a"]}', {"outputs": {}}),
        ('{"text": "hello"}', {"text": "hello", "log": True, "progress": None}),
    ],
)
def test_messages(line: str, expected: dict[str, Any]) -> None:
    said = printed.read(line)
    assert {name: getattr(said, name) for name in expected} == expected


def test_our_own_line_of_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.progress.ELSEWHERE_S", 0.0)
    Progress("Extracting", 200).seen(49)
    said = printed.read(capsys.readouterr().out.strip())
    assert said.progress == 0.25 and said.eta_s is not None
