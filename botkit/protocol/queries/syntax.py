"""Find what X would refuse in a rule or a search query, without asking X.

The check knows X's grammar, not its meaning: a space joins conditions, `OR` binds less, `()`
groups, `-` negates one condition, and one condition must be able to stand alone.
Source: X API docs, "Build a rule" and "Operators"; dated data in `operators.json`.
"""

from __future__ import annotations

import difflib
import pkgutil
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LONGEST_QUERY", "LONGEST_RULE", "Place", "faults_of"]

Place: TypeAlias = Literal["stream", "search"]

LONGEST_RULE: Mapping[str, int] = {"self-serve": 1024, "enterprise": 2048}
"""Characters of a rule, by the app's plan. Source: X API docs, "Filtered stream"."""
LONGEST_QUERY: Mapping[str, int] = {"self-serve": 512, "enterprise": 4096}
"""Characters of a query of recent search, by plan. Source: X API docs, "Search Posts"."""

_FARTHEST = 6
_OR_BETWEEN = "OR stands between two conditions"
_MISPLACED = {
    ("(", "OR"): _OR_BETWEEN,
    ("OR", "OR"): _OR_BETWEEN,
    ("OR", ")"): _OR_BETWEEN,
    ("(", ")"): "a group ( ) is empty",
}
_DEPTH = {"(": 1, ")": -1}
_JOINTS = {"and": "a blank joins conditions", "or": "OR joins them as alternatives"}
_SHAPES: Mapping[str, tuple[str, str]] = {
    "count": ("[0-9]{1,10}", "a number"),
    "id": ("[0-9]{1,19}", "an id, which is digits"),
    "language": ("[A-Za-z]{2,3}(-[A-Za-z]{2,4})?", "the code of a language, such as en"),
    "percent": ("[1-9][0-9]?|100", "a number from 1 to 100"),
    "range": (r"[0-9]{1,10}(\.\.[0-9]{1,10})?", "a number or a range, such as 10..20"),
    "user": ("[A-Za-z0-9_]{1,20}", "a username without @, or a user's id"),
}
"""What values of operators look like, and in words. That X refuses others at once is assumed."""
_TOKEN = re.compile(
    r"""(?P<open>-?\()|(?P<close>\))
    |(?P<no>-?)(?:
      (?P<name>[A-Za-z_]+):(?P<value>"[^"]*"|\[[^\]]*\]|[^\s()"]+)
      |"(?P<phrase>[^"]*)"(?:~(?P<far>[0-9]+))?
      |(?P<word>[^\s()"]+)
    )""",
    re.VERBOSE,
)


class _Operators(Struct, frozen=True):
    source: str
    read_on: str
    stream: dict[str, str]
    search: dict[str, str]
    values: dict[str, list[str]]
    shapes: dict[str, str]
    renamed: dict[str, str]
    only_negated: list[str]
    never_negated: list[str]
    enterprise: list[str]


def _read() -> _Operators:
    data = pkgutil.get_data("botkit.protocol.queries", "operators.json")
    assert data is not None
    return msgspec.json.decode(data, type=_Operators)


_OPERATORS = _read()


def faults_of(query: str, place: Place, *, plan: str = "self-serve") -> list[str]:
    """Return what X would refuse in a rule (`stream`) or a query (`search`), in words."""
    longest = (LONGEST_RULE if place == "stream" else LONGEST_QUERY)[plan]
    kind = "rule" if place == "stream" else "query"
    if not query.strip():
        return [f"the {kind} is empty"]
    faults: list[str] = []
    if len(query) > longest:
        faults.append(
            f"the {kind} has {len(query)} characters, X takes {longest} on the {plan} plan"
        )
    if query.count('"') % 2:
        return [*faults, 'a quotation mark " is not closed']
    return [*faults, *_Check(query, place, plan).faults()]


class _Check:
    """The check of one query."""

    def __init__(self, query: str, place: Place, plan: str) -> None:
        self.query = query
        self.place: Place = place
        self.plan = plan
        self.known = _OPERATORS.stream if place == "stream" else _OPERATORS.search
        self.stands_alone = False
        self.is_positive = False
        """Whether the alternative that is read, between two ORs, has more than negations."""

    def faults(self) -> Iterator[str]:
        """Yield each fault, in the order of the text."""
        depth, before = 0, "("
        for token in _TOKEN.finditer(self.query):
            now = _kind_of(token)
            depth += _DEPTH.get(now, 0)
            if depth < 0:
                yield "a ) has no ( before it"
                return
            if token[0] == "-(":
                yield "- negates one condition, not a group: write - before each condition"
            if now == "condition":
                yield from self._condition(token)
            if (before, now) in _MISPLACED:
                yield _MISPLACED[before, now]
            if now == "OR" and depth == 0:
                yield from self._alternative()
            before = now
        if before == "OR":
            yield _OR_BETWEEN
        if depth > 0:
            yield "a ( is not closed"
        if self.stands_alone:
            yield from self._alternative()
        else:
            yield (
                "no condition can stand alone: add a word, a #tag or an @name, or an operator such"
                " as from:, that is not negated"
            )

    def _alternative(self) -> Iterator[str]:
        """Yield the fault of an alternative that has nothing but negations: assumed."""
        if not self.is_positive:
            yield "between two OR stand only negations: add a condition that is not negated"
        self.is_positive = False

    def _condition(self, token: re.Match[str]) -> Iterator[str]:
        """Yield the faults of one condition."""
        name, negated = token["name"], bool(token["no"])
        self.is_positive |= not negated
        if name is None:
            yield from self._words(token, negated=negated)
            return
        name = name.lower()
        if name in _OPERATORS.renamed:
            yield f"X has no {name}: any more, write {_OPERATORS.renamed[name]}:"
            return
        kind = self.known.get(name)
        if kind is None:
            yield self._unknown(name, token[0])
            return
        if name in _OPERATORS.enterprise and self.plan != "enterprise":
            yield f"{name}: needs an Enterprise plan"
        if negated and name in _OPERATORS.never_negated:
            yield f"{name}: cannot be negated"
        value = token["value"].lower()
        if name in _OPERATORS.values and value not in _OPERATORS.values[name]:
            yield f"X knows no {name}:{value}, but {_listed(name, _OPERATORS.values[name])}"
        pattern, meant = _SHAPES.get(_OPERATORS.shapes.get(name, ""), (".*", ""))
        if not re.fullmatch(pattern, value.strip('"'), re.DOTALL):
            yield f"{name}: takes {meant}, and not {token['value']}"
        if f"{name}:{value}" in _OPERATORS.only_negated and not negated:
            yield f"X takes {name}:{value} only negated, -{name}:{value}"
        self.stands_alone |= kind != "conjunction" and not negated

    def _words(self, token: re.Match[str], *, negated: bool) -> Iterator[str]:
        """Yield the faults of a word or a phrase."""
        word = token["word"] if token["phrase"] is None else token["phrase"].strip()
        if word in {"", "-"}:
            yield f"{token[0]} is no condition: leave it out"
            return
        if token["phrase"] is None:
            if word.endswith(":") and word[:-1].lower() in self.known:
                yield f"{word} has no value, and no blank may stand behind it"
            yield from _misread(word)
        far = token["far"]
        if far is not None and (self.place == "search" or int(far) > _FARTHEST):
            yield f"~{far}: X takes words up to {_FARTHEST} apart, in rules of the stream only"
        self.stands_alone |= not negated

    def _unknown(self, name: str, text: str) -> str:
        """Return the fault of an operator that X does not have here."""
        where = "a rule of the filtered stream" if self.place == "stream" else "recent search"
        near = difflib.get_close_matches(name, self.known)
        quoted = text.lstrip("-")
        cure = f"did you mean {near[0]}:?" if near else f'for the text itself write "{quoted}"'
        return f"{where} has no operator {name}:; {cure}"


def _misread(word: str) -> Iterator[str]:
    """Yield why X does not take a word without quotation marks.

    Source: docs/explanation/x-facts.md, 18.5.
    """
    if word.lower() in _JOINTS:
        yield f'X does not take {word} as a word: {_JOINTS[word.lower()]}, or write "{word}"'
    if "'" in word:
        yield f'X takes an apostrophe only in quotation marks: write "{word.strip(chr(39))}"'


def _kind_of(token: re.Match[str]) -> str:
    if token["open"]:
        return "("
    if token["close"]:
        return ")"
    return "OR" if token[0] == "OR" else "condition"


def _listed(name: str, values: list[str]) -> str:
    return ", ".join(f"{name}:{value}" for value in values)
