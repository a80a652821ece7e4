"""Parse the rules of X's filtered stream and the queries of its search.

A space joins terms with AND, which binds before OR; parentheses group; a `-` negates one term.

Source: X API docs, "Build a rule" and "Build a query"; the texts of refusals are those that users
of X have reported (`docs/explanation/x-facts.md`, 18.5). X shows none of the others: "assumed".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AllOf", "AnyOf", "Node", "QueryFault", "Term", "parse_tree", "terms_of"]

_NAMED = re.compile(r"(?P<name>[A-Za-z_]+):")
_QUOTED = re.compile(r'"(?P<value>[^"]*)"')
_BRACKETED = re.compile(r"\[(?P<value>[^\]]*)\]")
_VALUE = re.compile(r'[^\s()"]+')
_WITHIN = re.compile(r"~(?P<tokens>[0-9]{1,3})")
_TAG = re.compile(r'(?P<sign>[#@$\uff03\uff20])(?P<value>[^\s()"#@$]+)')
_SIGNS = {"\uff03": "#", "\uff20": "@"}
_NOT_IN_KEYWORD = "'[]"
"""Signs that X takes in quotation marks only, as far as users have reported."""
_DEEPEST = 50
_AMBIGUOUS = {
    "and": "Use a space to logically join two clauses",
    "or": "Use OR to logically join two clauses",  # assumed
}


class QueryFault(ValueError):
    """The text is no query that X takes. `details` are X's words, one for each fault."""

    def __init__(self, *details: str) -> None:
        super().__init__(", ".join(details))
        self.details = details


class Term(Struct, frozen=True, kw_only=True):
    """One operator with its value. The `name` of a keyword and of a phrase is their own.

    `position` is the place in the text, from 1. `within` is the N of `"a b"~N`.
    """

    name: str
    value: str
    position: int
    negated: bool = False
    within: int | None = None


class AllOf(Struct, frozen=True):
    """Parts that must all match."""

    parts: tuple[Node, ...]


class AnyOf(Struct, frozen=True):
    """Parts of which one must match."""

    parts: tuple[Node, ...]


Node: TypeAlias = "Term | AllOf | AnyOf"


def parse_tree(text: str) -> Node:
    """Return the tree of a query.

    Raises:
        QueryFault: The text is malformed.
    """
    return _Parser(text).whole()


def terms_of(node: Node) -> Iterator[Term]:
    """Yield the terms of a tree, in the order of the text."""
    if isinstance(node, Term):
        yield node
    else:
        for part in node.parts:
            yield from terms_of(part)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        tree = self._any_of()
        if self._at < len(self._text):
            self._refuse("missing EOF at ')'")
        return tree

    def _any_of(self) -> Node:
        parts = [self._all_of()]
        while self._next_is_or():
            self._at += len("OR")
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self) -> Node:
        parts: list[Node] = []
        while not self._ends():
            parts.append(self._part())
        if not parts:
            self._refuse(f"no viable alternative at input '{self._rest() or '<EOF>'}'")
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _part(self) -> Node:
        if self._text[self._at] != "(":
            return self._term()
        self._at += 1
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse("Too many groups inside one another")  # assumed
        group = self._any_of()
        self._depth -= 1
        if self._at >= len(self._text):
            self._refuse("Missing closing parenthesis")
        self._at += 1
        return group

    def _term(self) -> Term:
        start = self._at
        negated = self._text[start] == "-"
        self._at += negated
        if negated and self._text[self._at : self._at + 1] == "(":
            self._refuse("Negating a group is not supported", start)  # assumed
        term = self._quoted() or self._tagged() or self._named() or self._keyword()
        return Term(
            name=term[0], value=term[1], position=start + 1, negated=negated, within=term[2]
        )

    def _quoted(self) -> tuple[str, str, int | None] | None:
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        within = _WITHIN.match(self._text, self._at)
        if within is None:
            return "phrase", found["value"], None
        self._at = within.end()
        return "phrase", found["value"], int(within["tokens"])

    def _tagged(self) -> tuple[str, str, None] | None:
        found = _TAG.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return _SIGNS.get(found["sign"], found["sign"]), found["value"], None

    def _named(self) -> tuple[str, str, None] | None:
        found = _NAMED.match(self._text, self._at)
        if found is None:
            return None
        start, self._at = self._at, found.end()
        value = _QUOTED.match(self._text, self._at) or _BRACKETED.match(self._text, self._at)
        plain = None if value else _VALUE.match(self._text, self._at)
        if value is not None:
            self._at = value.end()
            return found["name"].lower(), value["value"], None
        if plain is None:
            self._refuse(f"no viable alternative at input '{found[0]}'", start)
        self._at = plain.end()
        return found["name"].lower(), plain[0], None

    def _keyword(self) -> tuple[str, str, None]:
        found = _VALUE.match(self._text, self._at)
        if found is None:
            self._refuse(f"no viable alternative at character '{self._rest()[:1] or '<EOF>'}'")
        word = found[0]
        for number, character in enumerate(word):
            if character in _NOT_IN_KEYWORD or (number == 0 and character in "-#@$"):
                self._refuse(
                    f"no viable alternative at character '{character}'", self._at + number
                )
        reason = _AMBIGUOUS.get(word.lower())
        if reason is not None:
            text = f'Ambiguous use of {word.lower()} as a keyword. {reason}, or "{word.lower()}"'
            self._refuse(f"{text} to find occurrences of {word.lower()} in text")
        self._at = found.end()
        return "keyword", word, None

    def _ends(self) -> bool:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._rest()[:1] in {"", ")"} or self._next_is_or()

    def _next_is_or(self) -> bool:
        return re.match(r'OR(?=[\s()"]|$)', self._rest()) is not None

    def _rest(self) -> str:
        return self._text[self._at :]

    def _refuse(self, text: str, at: int | None = None) -> NoReturn:
        raise QueryFault(f"{text} (at position {(self._at if at is None else at) + 1})")
