"""Settings against their model; what pydantic finds wrong is said in plain words."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.yaml_source import Where, YamlSource

Model = TypeVar("Model", bound=BaseModel)

EXPECTED = {
    "int_type": "a whole number", "float_type": "a number", "finite_number": "a number", "bool_type": "true or false",
    "string_type": "text", "path_type": "a path", "list_type": "a list", "tuple_type": "a list",
    "dict_type": "a block of settings", "model_type": "a block of settings", "none_required": "null",
}  # fmt: skip
UNUSABLE = re.compile(r"[\0\ud800-\udfff]")


class Problem(NamedTuple):
    where: Where  # below the validated block
    sentence: str
    at_key: bool = False


class Invalid(Exception):
    """Settings that do not fit their model."""

    def __init__(self, problems: list[Problem]):
        super().__init__("; ".join(problem.sentence for problem in problems))
        self.problems = problems


def validate(model: type[Model], values: dict[str, Any], also_known: Iterable[str] = ()) -> Model:
    """`values` as a `model`; numbers stay numbers, so that `fps: "30"` or `people: yes` are refused, not guessed.

    also_known: keys of the same block that the caller has dealt with, for suggestions. Raises Invalid.
    """
    try:
        if unusable := list(_unusable(values, ())):
            raise Invalid(unusable)
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise Invalid(_problems(error, model, values, also_known)) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid([Problem((), f"these values cannot be used as settings: {error}")]) from None


def checked(
    source: YamlSource, where: Where, model: type[Model], values: dict[str, Any], also_known: Iterable[str] = (),
    about: str = "",
) -> Model | None:  # fmt: skip
    """`validate` for a block of a file: None after complaining in `source`. about: what the sentences begin with."""
    try:
        return validate(model, values, also_known)
    except Invalid as error:
        for problem in error.problems:
            source.complain((*where, *problem.where), about + problem.sentence, problem.at_key or not problem.where)
        return None


def block(source: YamlSource, where: Where, value: Any, wanted: str) -> dict[str, Any]:
    """`value` if it is a mapping with anything in it, else {} after complaining in `source`."""
    if isinstance(value, dict) and value:
        return value
    subject = repr(".".join(map(str, where))) if where else "a config"
    source.complain(where, f"{subject} must be a block of `name: value` lines with {wanted}", at_key=True)
    return {}


def _problems(
    error: ValidationError, model: type[BaseModel], values: dict[str, Any], also_known: Iterable[str]
) -> list[Problem]:
    known = [*model.model_fields, *also_known]
    expected: dict[Where, list[str]] = {}  # a union reports each of its members: gather them in one sentence
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        where, kind = _in_values(item["loc"], values), item["type"]
        if kind in EXPECTED:
            expected.setdefault(where, []).append(EXPECTED[kind])
        elif kind == "extra_forbidden":
            name = str(item["loc"][-1])
            names = known if len(item["loc"]) == 1 else []
            problems.append(Problem(where, f"unknown setting {shown(name)}{suggest(name, names)}", at_key=True))
        elif kind == "missing":
            problems.append(_missing(item["loc"], where, model))
        else:
            problems.append(Problem(where, _broken_rule(item, where, model, values)))
    told = {problem.where for problem in problems}  # a member of the union has the right type: say what else is wrong
    for where, kinds in expected.items():
        if where in told:
            continue
        wanted = " or ".join(dict.fromkeys(kinds))
        value = _at(values, where)
        problems.append(
            Problem(where, f"{_name(where)} must be {wanted}, found {_found(value)}{_quotes(kinds, value)}")
        )
    return problems


def _unusable(value: Any, where: Where) -> Iterator[Problem]:
    """Texts with a NUL, which no system takes in a path, or with half a character, which none can write."""
    if isinstance(value, (dict, list)):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unusable(inner, (*where, step))
    elif isinstance(value, str) and (bad := UNUSABLE.search(value)):
        yield Problem(where, f"{_name(where)} cannot hold the character {bad[0]!r}, as {_found(value)} does; remove it")


def _missing(loc: Where, where: Where, model: type[BaseModel]) -> Problem:
    if isinstance(loc[-1], int):
        return Problem(where, f"{_name(where)} needs more values than this list has")
    return Problem(where, f"the setting {str(loc[-1])!r} is missing{_described(loc, model)}", at_key=True)


def _broken_rule(item: Any, where: Where, model: type[BaseModel], values: dict[str, Any]) -> str:
    """A sentence for what has the right type and is still not allowed."""
    value = _at(values, where)
    kind, context = item["type"], item.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    found = f", found {_found(value)}"
    if kind in ("literal_error", "enum"):
        kinds = ["text"] if "'" in context["expected"] else []
        return f"{_name(where)} must be {context['expected']}{found}{_quotes(kinds, value)}"
    if kind == "string_pattern_mismatch":
        return f"{_name(where)} cannot be {shown(value)}{_described(where, model)}"
    if kind in ("too_long", "too_short"):
        length = context.get("max_length", context.get("min_length"))
        return f"{_name(where)} must be a list of {length} values, found {context['actual_length']}"
    message = item["msg"].removeprefix("Input should ").removeprefix("Value should ").removeprefix("String should ")
    return f"{_name(where)} must {message}{found}"


def _in_values(loc: Where, values: Any) -> Where:
    """The part of pydantic's path that is really there: it also names union members and missing settings."""
    where: Where = ()
    for step in loc:
        inside = isinstance(values, dict) and step in values
        if inside or (isinstance(values, list) and isinstance(step, int) and step < len(values)):
            values, where = values[step], (*where, step)
    return where


def _at(values: Any, where: Where) -> Any:
    for step in where:
        values = values[step]
    return values


def _name(where: Where) -> str:
    names = [step for step in where if isinstance(step, str)]
    return repr(".".join(names)) if names else "this block"


def _described(where: Where, model: type[BaseModel]) -> str:
    field = model.model_fields.get(str(where[0])) if where else None
    return f" ({field.description})" if field and field.description else ""


def _quotes(kinds: Iterable[str], value: Any) -> str:
    if "text" not in kinds or isinstance(value, (str, list, dict, type(None))):
        return ""
    if isinstance(value, bool):
        return " (YAML reads on, off, yes and no as true and false); put it in quotes"
    return "; put it in quotes"


def _found(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a block of settings"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    return json.dumps(value)


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: "; did you mean 'device'?", or what there is."""
    names = list(known)
    close = difflib.get_close_matches(word[:64].lower(), names, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(names)}" if names else ""


def shown(value: object) -> str:
    """A value as part of a sentence, cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
