"""The page with every address says what the engine does."""

from __future__ import annotations

import pytest

from engine import osc
from engine.config import registry
from engine.osc_codec import setting
from engine.osc_reference import COMMANDS, MARK, PAGE, TOLD, example, renewed
from engine.panel import Parameter, address, parameters

KNOBS = [(kind, one) for kind in registry.known_types() for one in parameters(kind)]


def test_the_page_is_current_and_keeps_what_was_written_by_hand() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "run: python3 run_engine.py schema"
    assert renewed(f"by hand\n{MARK}\nold").startswith(f"by hand\n{MARK}\n\n## Commands")
    with pytest.raises(ValueError):
        renewed("a page without the mark")


def test_every_command_and_every_setting_stands_on_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {where.rpartition("/")[2] for where, *_ in COMMANDS} == set(osc.COMMANDS)
    assert all(where.replace("NODE", "x").startswith((*osc.TOLD, "/utsushi/node/")) for where, *_ in TOLD)
    for kind, one in KNOBS:
        section = page.partition(f"### `{kind}`\n")[2].partition("###")[0]
        assert f"| `{address('NODE', one.name)}` | {one.type}" in section and one.help in section


@pytest.mark.parametrize("kind, one", KNOBS, ids=[f"{kind}.{one.name}" for kind, one in KNOBS])
def test_its_examples_are_allowed_and_change_something(kind: str, one: Parameter) -> None:
    value = example(one)
    setting(one, value if isinstance(value, list) else [value])
    for number in value if isinstance(value, list) else [value]:
        if one.type in ("float", "int"):
            assert one.min is None or number > one.min or (number == one.min and not one.exclusive_min)
            assert one.max is None or number <= one.max
    assert value != one.default
