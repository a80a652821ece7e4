"""Check the parameters of a call as X does, with X's refusals.

The rules stand in `parameters.json`, made of both spellings of X's OpenAPI document.
Source: X's OpenAPI documents 2.166 and 2.167; bodies of X's refusals, as clients in the wild have
reported them (PLhery/node-twitter-api-v2 issue 597, abraham/twitteroauth issue 1028).
"""

from __future__ import annotations

import pkgutil
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from botkit.sandbox.wire import problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.sandbox.wire.exchange import Call

__all__ = ["check_parameters", "values_of"]

_IDS = "^[0-9]{1,19}$"


class _Rule(Struct, frozen=True, kw_only=True):
    """Hold the rule of a parameter: `list` limits the number of values, `range` a numeric value.

    A parameter without `list` is a single value, even if it contains commas.
    """

    list: tuple[int, int] | None = None
    values: tuple[str, ...] = ()
    pattern: str = ""
    range: tuple[int, int] | None = None
    time: bool = False


class _Data(Struct, frozen=True, kw_only=True):
    operations: dict[str, dict[str, str]]
    rules: dict[str, _Rule]


def check_parameters(operation: str, call: Call, path: Mapping[str, str]) -> None:
    """Check a call's query, and the values in its path.

    Raises:
        Refused: 400: a parameter is unknown, given twice, or has a wrong value.
    """
    known = _DATA.operations[operation]
    given = [*path.items(), *call.query]
    counted = Counter(name for name, _ in given)
    for name, value in given:
        if name not in known:
            text = f"The query parameter [{name}] is not one of [{','.join(known)}]"
            raise problems.bad_parameter(name, value, text)
        if counted[name] > 1:
            text = f"Duplicate parameters are not allowed: the `{name}` query parameter"
            raise problems.bad_parameter(name, value, text)
        if known[name]:
            _check_value(name, value, _DATA.rules[known[name]])


def values_of(operation: str) -> dict[str, tuple[str, ...]]:
    """Return the allowed values of each parameter of an operation that restricts its values."""
    named = _DATA.operations[operation]
    return {
        name: _DATA.rules[rule].values
        for name, rule in named.items()
        if rule and _DATA.rules[rule].values
    }


def _check_value(name: str, value: str, rule: _Rule) -> None:
    values = value.split(",") if rule.list else [value]
    if rule.list and not value:
        raise problems.bad_parameter(name, value, f"The `{name}` query parameter can not be empty")
    if rule.list and not rule.list[0] <= len(values) <= rule.list[1]:
        size = f"The number of values in the `{name}` query parameter list [{len(values)}]"
        text = f"{size} is not between {rule.list[0]} and {rule.list[1]}"
        raise problems.bad_parameter(name, value, text)
    for one in values:
        fault = _fault(one, rule)
        if fault:
            raise problems.bad_parameter(
                name, value, f"The `{name}` query parameter value [{one}] {fault}"
            )


def _fault(value: str, rule: _Rule) -> str:
    """Return the fault of one value in X's words, "" if it is right."""
    if rule.values and value not in rule.values:
        return f"is not one of [{','.join(rule.values)}]"
    if rule.pattern and re.fullmatch(rule.pattern, value) is None:
        return "is not valid" if rule.pattern == _IDS else f"does not match {rule.pattern}"
    if rule.range is not None:
        least, most = rule.range
        number = int(value) if re.fullmatch("[0-9]{1,9}", value) else -1
        if not least <= number <= most:
            return f"is not between {least} and {most}"
    if rule.time and not _is_time(value):
        return "is not a valid RFC3339 time"
    return ""


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _read() -> _Data:
    source = pkgutil.get_data("botkit.sandbox.x", "parameters.json")
    assert source is not None
    return msgspec.json.decode(source, type=_Data)


_DATA = _read()
