"""The stage table: everything is checked before anything starts, and hostile tables are refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jobs_kit import job_file, read, script, stage

from engine.errors import ConfigError
from engine.jobs import plan as plans
from engine.process import ROOT

COMMANDS: dict[str, Any] = {
    "make": script("", options={"file": {"output": True}, "n": {"type": "int"}}),
    "tell": script("", options={"text": {}}, outputs=["word"]),
}


def refused(folder: Path, *stages: dict[str, Any], commands: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, stages, COMMANDS if commands is None else commands)
    return str(caught.value)


def test_the_chain_that_comes_with_it_is_good() -> None:
    plan = plans.read(ROOT / "configs" / "jobs.yaml")
    assert list(plan.stages) == ["prepare", "poses", "generate", "tell", "tell_failure"] and plan.first == "prepare"
    words = plan.stages["poses"].words({"prepare": {"out": "p.mp4"}}, "prepare")
    assert "--set=camera.source=p.mp4" in words.words and words.outputs["out"] == "poses.jsonl"


def test_comments_are_no_stages_and_rows_are_counted_as_the_table_does(tmp_path: Path) -> None:
    plan = read(tmp_path, [stage("#old", "nothing at all"), {"stage": "#"}, stage("a", "make")], COMMANDS)
    assert list(plan.stages) == ["a"]
    assert "row 3: there is no command 'mkae'; did you mean 'make'?" in refused(
        tmp_path, stage("#", "x"), stage("a", "make", next="b"), stage("b", "mkae")
    )


@pytest.mark.parametrize(
    "stages, sentence",
    [
        ([], "must be a list of 1 to 100 stages"),
        ([stage("#a", "make")], "no stage that is not commented out"),
        ([stage("a b", "make")], "'stage' cannot be 'a b'"),
        ([stage("prev", "make")], "means the stage before; choose another"),
        ([stage("a", "make", next="a")], "a → a would go round for ever; to try a stage again, give it retries"),
        ([stage("a", "make", on_fail="a")], "a → a would go round for ever"),
        ([stage("a", "make", next="b"), stage("b", "make", on_fail="a")], "a → b → a would go round"),
        ([stage("a", "make", next="c")], "next names 'c', which is no stage"),
        ([stage("a", "make", on_fail="c")], "on_fail names 'c'"),
        ([stage("a", "make"), stage("b", "make")], "row 2: no stage leads to 'b'"),
        ([stage("a", "make", next="a2"), stage("a2", "make"), stage("a", "make")], "stands in row 1 already"),
        ([stage("a", "make", timeout=0)], "row 1: 'timeout' must be greater than 0"),
        ([stage("a", "make", timeout="soon")], "'timeout' must be a number"),
        ([stage("a", "make", retries=-1)], "'retries' must be greater than or equal to 0"),
        ([stage("a", "make", retries=1.5)], "'retries' must be"),
        ([stage("a", "make", nxt="b")], "unknown setting 'nxt'; did you mean 'next'?"),
        ([stage("#", "x"), {"stage": "a"}], "row 2: the setting 'command' is missing"),
        (["a"], "must be a block"),
        ([stage("a", "make", ["file", "x", "y"])], "options row 0: a row is a key and a value, and this one has more"),
        ([stage("a", "make", [])], "options"),
        ([stage("a", "make", [{"x": 1}])], "options"),
        ([stage("a", "make", ["n", "x"])], "stage 'a', options row 0 ('n' 'x'): 'x' is no whole number"),
        ([stage("a", "make", ["m", 1])], "stage 'a', options row 0 ('m' '1'): make has no option 'm'"),
    ],
)
def test_tables_that_cannot_be(tmp_path: Path, stages: list[Any], sentence: str) -> None:
    assert sentence in refused(tmp_path, *stages)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("{prev.nothing}", "'a' has no output 'nothing'; known are stage, event, text, exit_code, file, out"),
        ("{c.out}", "no stage 'c' runs before 'b'"),
        ("{b.out}", "no stage 'b' runs before 'b'"),
        ("{a.nothing}", "'a' has no output 'nothing'"),
    ],
)
def test_places_that_nothing_can_fill(tmp_path: Path, text: str, sentence: str) -> None:
    stages = [
        stage("a", "make", ["file", "x"], next="b"), stage("b", "tell", ["# note"], ["text", text], next="c"),
        stage("c", "make"),
    ]  # fmt: skip
    said = refused(tmp_path, *stages)
    assert f"stage 'b', options row 1 (text): {text}" in said and sentence in said


def test_the_first_stage_has_none_before_it_and_a_failed_one_no_outputs(tmp_path: Path) -> None:
    assert "no stage runs before 'a'" in refused(tmp_path, stage("a", "tell", ["text", "{prev.out}"]))
    first = stage("a", "make", ["file", "x"], on_fail="b")
    assert "has failed when 'b' runs" in refused(tmp_path, first, stage("b", "tell", ["text", "{prev.file}"]))
    read(tmp_path, [first, stage("b", "tell", ["text", "{prev.stage} {prev.text} {a.exit_code}"])], COMMANDS)


def test_what_is_known_beforehand_is_checked_beforehand(tmp_path: Path) -> None:
    first = stage("a", "make", ["file", "x.mp4"], next="b")
    assert "'x.mp4' is no whole number" in refused(tmp_path, first, stage("b", "make", ["n", "{prev.out}"]))
    plan = read(tmp_path, [stage("a", "tell", next="b"), stage("b", "make", ["n", "{prev.word}"])], COMMANDS)
    words = plan.stages["b"].words({"a": {"word": "7"}}, "a")
    assert words.words[-2:] == ["--n", "7"]
    assert plan.stages["b"].words({"a": {"word": "x"}}, "a").bad[0].number == 0, "and what is not, when it is"


def test_outputs_are_known_though_not_all_inputs_are(tmp_path: Path) -> None:
    generate = [["config", "configs/generate.yaml"], ["pose.path", "{prev.word}"], ["video.path", "x.mp4"]]
    stages = [
        stage("a", "tell", next="b"),
        stage("b", "engine", *generate, next="c"),
        stage("c", "make", ["n", "{b.out}"]),
    ]
    assert "stage 'c', options row 0 ('n' 'x.mp4')" in refused(tmp_path, *stages)
    generate[2][1] = "{a.word}.mp4"
    plan = read(tmp_path, stages, COMMANDS)
    assert plan.stages["b"].words({"a": {"word": "w"}}, "a").outputs == {"video": "w.mp4", "out": "w.mp4"}
    stages[1]["options"].append(["video.kwality", "3"])
    assert "unknown setting 'kwality'" in refused(tmp_path, *stages)


def test_braces_that_are_no_places_stay(tmp_path: Path) -> None:
    plan = read(tmp_path, [stage("a", "tell", ["text", '{"a": 1} {} {x} {a b.c}'])], COMMANDS)
    assert plan.stages["a"].words({}, "").words[-1] == '{"a": 1} {} {x} {a b.c}'


def test_an_options_table_may_name_its_columns(tmp_path: Path) -> None:
    plan = read(tmp_path, [stage("a", "make", ["key", "value"], ["n", "1"])], COMMANDS)
    assert plan.stages["a"].words({}, "").words[-2:] == ["--n", "1"]
    said = refused(tmp_path, stage("a", "make", ["n", "1"], ["key", "value"]))
    assert "row 1 ('key' 'value'): make has no option 'key'" in said


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    said = refused(
        tmp_path, stage("a", "make", ["n", "x"], ["m", 1], next="b"), stage("b", "tell", ["text", "{a.x}"]),
    )  # fmt: skip
    assert said.count("stage '") == 3


@pytest.mark.parametrize(
    "commands, sentence",
    [
        ({"engine": script("")}, "'engine' is a command of Utsushi"),
        ({"a": {"argv": []}}, "argv"),
        ({"a": {"argv": "python -c x"}}, "command 'a': 'argv' must be a list"),
        ({"a": {"argv": ["no-such-program-here"]}}, "there is no program 'no-such-program-here'"),
        ({"a": script("", options={"x": {"type": "thing"}})}, "type"),
        ({"a": script("", option={})}, "unknown setting 'option'"),
        ("python", "must be a block"),
    ],
)
def test_commands_that_cannot_be(tmp_path: Path, commands: Any, sentence: str) -> None:
    assert sentence in refused(tmp_path, stage("a", "notify", ["to", "127.0.0.1:1"]), commands=commands)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "{", "stages: 3", "stages:\n- a\nother: 1", "stages: [[]]", "commands: {a: b}", "\0", "a: &x 1"],
)
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        plans.read(path)


def test_yaml_and_json_are_read_alike(tmp_path: Path) -> None:
    path = job_file(tmp_path, [stage("a", "make", ["n", 3], ["file", "ü — 日本 \u00e9 🎉.mp4"])], COMMANDS)
    text = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    assert plans.read(path).stages["a"].words({}, "").words[-3:] == ["3", "--file", "ü — 日本 \u00e9 🎉.mp4"]
