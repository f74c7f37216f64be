"""Rows of key and value → the words of a command line: typed, checked, and each mistake told by its row."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from engine.errors import Exit
from engine.jobs import commands, notify
from engine.jobs.options import Command, Row, Words, words_of
from engine.process import ROOT

LISTED = {
    "in": {"word": "-i", "required": True},
    "size": {"type": "int", "min": 16, "max": 64},
    "rate": {"type": "float", "word": "--rate="},
    "mode": {"type": "menu", "menu": ["fast", "good"]},
    "twice": {"repeat": True},
    "on": {"type": "bool"},
    "verbose": {"type": "flag", "word": "-v"},
    "file": {"type": "path", "word": "-", "output": True},
}


def listed() -> Command:
    return commands.CommandEntry.model_validate({"argv": ["tool", "go"], "options": LISTED}).command("tool")


def own(name: str) -> Command:
    command = commands.own(name)
    assert command is not None
    return command


def made(command: Command, *rows: tuple[str, str]) -> Words:
    return words_of(command, [Row(number, key, value) for number, (key, value) in enumerate(rows)])


def words(command: Command, *rows: tuple[str, str]) -> list[str]:
    found = made(command, *rows)
    assert found.bad == []
    return found.words


def bad(command: Command, *rows: tuple[str, str]) -> list[tuple[int | None, str]]:
    return [tuple(problem) for problem in made(command, *rows).bad]


def test_a_key_and_a_value_are_words_of_their_own_and_never_a_shells() -> None:
    assert words(listed(), ("in", "a b; rm -rf $HOME"), ("twice", "'\"`&|"), ("verbose", "")) == [
        "tool", "go", "-i", "a b; rm -rf $HOME", "--twice", "'\"`&|", "-v",
    ]  # fmt: skip


def test_comments_and_blank_keys_are_skipped_and_dashes_before_a_key_allowed() -> None:
    assert words(listed(), ("# size", "nonsense"), ("", "nothing"), ("--in", "a")) == ["tool", "go", "-i", "a"]


def test_values_that_stand_alone_come_last_and_joined_ones_are_joined() -> None:
    found = made(listed(), ("file", "out.mp4"), ("rate", "-2.5"), ("in", "-"))
    assert found.words == ["tool", "go", "--rate=-2.5", "-i", "-", "out.mp4"]
    assert found.outputs == {"file": "out.mp4", "out": "out.mp4"}


def test_repeated_keys_in_their_order() -> None:
    assert words(listed(), ("twice", "b"), ("in", "x"), ("twice", "a"))[2:] == [
        "--twice",
        "b",
        "-i",
        "x",
        "--twice",
        "a",
    ]
    ((number, sentence),) = bad(listed(), ("in", "a"), ("in", "b"))
    assert number == 1 and "row 1 ('in' 'b')" in sentence and "stands in row 0 already" in sentence


@pytest.mark.parametrize(
    "key, value, sentence",
    [
        ("szie", "3", "tool has no option 'szie'; did you mean 'size'?"),
        ("size", "many", "'many' is no whole number from 16 to 64"),
        ("size", "20.5", "is no whole number"),
        ("size", "15", "from 16 to 64"),
        ("rate", "nan", "'nan' is no number"),
        ("rate", "inf", "'inf' is no number"),
        ("mode", "slow", "'slow' is none of fast, good"),
        ("on", "maybe", "'maybe' is neither true nor false"),
        ("verbose", "3", "it is a flag and takes no value; leave the value blank"),
        ("size", "", "it needs a value"),
        ("file", "-rf", "would be read as an option"),
        ("twice", "a\0b", "no command line can"),
    ],
)
def test_what_cannot_be_is_told_by_its_row(key: str, value: str, sentence: str) -> None:
    ((number, said),) = bad(listed(), ("# a comment", ""), ("in", "a"), (key, value))
    assert number == 2 and said.startswith("row 2 (") and sentence in said


def test_what_is_missing_is_told_of_the_table() -> None:
    assert bad(listed(), ("verbose", "")) == [(None, "tool needs a row for in")]


@pytest.mark.parametrize("wrong", [{"type": "number"}, {"min": "x"}, {"words": "-i"}])
def test_a_description_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        commands.OptionEntry.model_validate(wrong)


def test_every_command_of_ours_is_known_by_its_own_parser() -> None:
    names = commands.own_names()
    assert {"engine", "notify", "performer train", "performer extract", "performer record"} <= set(names)
    assert all(own(name).options or name == "performer bench" for name in names)
    assert [commands.own(name) for name in ("", "performer", "performer dance", "engine run", "jobs", "rm")] == [
        None
    ] * 6


def test_training_by_its_parser() -> None:
    train = own("performer train")
    found = made(train, ("footage", "my footage"), ("out", "here"), ("size", "128"), ("resume", ""), ("steps", "10"))
    run = [sys.executable, str(ROOT / "run_engine.py"), "performer", "train"]
    assert found.words == [*run, "--out=here", "--size=128", "--resume", "--steps=10", "my footage"]
    assert found.outputs == {"out": "here"} and not found.bad
    assert bad(train, ("footage", "a"), ("out", "b"), ("size", "12"))[0][1].endswith("no whole number from 16 to 4096")
    assert "'huge' is none of tiny, base, large" in bad(train, ("footage", "a"), ("out", "b"), ("preset", "huge"))[0][1]
    assert "not allowed with" in bad(train, ("footage", "a"), ("out", "b"), ("resume", ""), ("init", "x"))[0][1]
    assert bad(train, ("footage", "a")) == [(None, "performer train needs a row for out")]


def test_the_engine_by_the_config_that_it_is_to_run() -> None:
    engine = own("engine")
    rows = [("config", "configs/offline.yaml"), ("camera.source", "my clip #1.mp4"), ("video.path", "out.mp4")]
    found = made(engine, *rows)
    assert found.words[2:] == [
        "--config=configs/offline.yaml", "--set=camera.source=my clip #1.mp4", "--set=video.path=out.mp4",
    ]  # fmt: skip
    assert found.outputs == {"video": "out.mp4", "out": "out.mp4"} and not found.bad
    for number, (row, sentence) in enumerate(
        [
            (("camera.fps", "fast"), "row 3 ('camera.fps' 'fast'): --set camera.fps=fast: 'fps' must be a number"),
            (("pose.kwality", "full"), "unknown setting 'kwality'; did you mean 'quality'?"),
            (("body.fps", "3"), "this config has no node 'body'"),
        ]
    ):
        ((place, said),) = bad(engine, *rows, row)
        assert place == 3 and sentence in said, number


def test_an_engine_that_would_never_end_is_refused() -> None:
    ((_, said),) = bad(own("engine"), ("config", "configs/demo.yaml"))
    assert "never ends" in said
    assert not bad(own("engine"), ("config", "configs/demo.yaml"), ("seconds", "5"))
    assert "is not a number of seconds" in bad(own("engine"), ("seconds", "soon"))[0][1]


def test_a_config_that_is_not_there() -> None:
    assert "there is no such file" in bad(own("engine"), ("config", "configs/nothing.yaml"))[0][1]


def test_notify_tells_this_machine_only_and_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--to", "8.8.8.8:9"], ["--to", "127.0.0.1"], [], ["--to", "127.0.0.1:9", "--value", "x"]):
        with pytest.raises(SystemExit) as caught:
            notify.main(["notify", *words])
        assert caught.value.code == Exit.USAGE
    assert notify.main(["notify", "--to", "localhost:9", "--text", "x" * 9000]) == Exit.USAGE
    assert "8000 fit in one message" in capsys.readouterr().err
    assert notify.main(["notify", "--to", "127.0.0.1:9", "--text", "nobody listens"]) == Exit.OK
