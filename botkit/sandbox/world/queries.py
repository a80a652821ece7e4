"""Match posts with the rules of X's filtered stream and the queries of its search.

Source: X API docs, "Build a rule", "Build a query" and their pages of operators; the texts of
refusals as in `query_syntax`. Assumed, as X does not say it: that a rule is refused if one part of
its OR is nothing but negations.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.sandbox.world.query_operators import NOT_PLAYED, OPERATORS, Product, Reading, tokens_of
from botkit.sandbox.world.query_syntax import (
    AllOf,
    AnyOf,
    Node,
    QueryFault,
    Term,
    parse_tree,
    terms_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botkit.sandbox.world.world import PostRecord, World

__all__ = ["NotPlayedError", "Query", "parse_query"]

_LONGEST = {"search": (512, 4096), "stream": (1024, 2048)}
"""The longest text, for a self-serve app and for Enterprise."""
_MOST_WITHIN = 6
_ALONE = {
    "search": "is/has/lang cannot be used as a standalone operator",
    "stream": "has/is/lang/sample/source cannot be used as a standalone operator",
}
_NO_POSITIVE = (
    "Rules must contain a non-negation term",
    "Rules must contain at least one positive, non-stopword clause",
)
_UNAVAILABLE = (
    "Reference to invalid operator '{}'. Operator is not available in current product or product"
    " packaging. Please refer to complete available operator list at http://t.co/operators."
)


class NotPlayedError(LookupError):
    """X has this operator, the sandbox does not."""


class Query(Struct, frozen=True):
    """A parsed rule or query."""

    tree: Node
    product: Product

    def matches(self, world: World, post: PostRecord) -> bool:
        """Return True if the post matches."""
        return _holds(self.tree, Reading(world, post, self.product))


def parse_query(text: str, product: Product, *, enterprise: bool = False) -> Query:
    """Return the query of a text.

    Raises:
        QueryFault: X refuses it.
        NotPlayedError: X takes it, but the sandbox cannot match one of its operators.
    """
    longest = _LONGEST[product][enterprise]
    if not text.strip() or len(text) > longest:
        raise QueryFault(f"The length must be between 1 and {longest} characters")  # assumed
    tree = parse_tree(text)
    faults = [
        fault for term in terms_of(tree) for fault in _faults(term, product, enterprise=enterprise)
    ]
    faults += _faults_of_whole(tree, product)
    if faults:
        raise QueryFault(*faults)
    for term in terms_of(tree):
        if term.name in NOT_PLAYED:
            raise NotPlayedError(f"the operator `{term.name}:`")
    return Query(tree, product)


def _faults(term: Term, product: Product, *, enterprise: bool) -> Iterator[str]:
    """Yield what X refuses in a term."""
    place = f" (at position {term.position})"
    known = OPERATORS.get(term.name)
    if known is None:
        yield f"Reference to invalid operator '{term.name}'{place}."
        yield f"Reference to invalid field '{term.name}'{place}."
    elif known.only not in {None, product} or (
        term.name.startswith("embedding") and not enterprise
    ):
        yield _UNAVAILABLE.format(term.name) + place
    elif term.name in {"has", "is"} and not re.fullmatch(known.values, term.value.lower()):
        yield f"Reference to invalid operator '{term.name}:{term.value}'."
    elif not re.fullmatch(known.values, term.value):
        yield f"Invalid value '{term.value}' for operator '{term.name}'{place}"  # assumed
    if term.within is not None and (
        product == "search" or not 1 <= term.within <= _MOST_WITHIN or not tokens_of(term.value)
    ):
        yield f"no viable alternative at character '~'{place}"  # assumed
    if (term.name, term.value.lower(), term.negated) == ("is", "nullcast", False):
        yield f"is:nullcast must be negated{place}"  # assumed
    if term.negated and term.name in {"sample", "embedding"}:
        yield f"The operator '{term.name}' cannot be negated{place}"  # assumed


def _faults_of_whole(tree: Node, product: Product) -> Iterator[str]:
    """Yield what X refuses in the terms together."""
    terms = list(terms_of(tree))
    parts = tree.parts if isinstance(tree, AnyOf) else (tree,)
    if any(all(term.negated for term in terms_of(part)) for part in parts):
        yield from (f"{text} (at position 1)" for text in _NO_POSITIVE)
    elif not any(_stands_alone(term) for term in terms):
        yield f"{_ALONE[product]} (at position {terms[0].position})"


def _stands_alone(term: Term) -> bool:
    known = OPERATORS.get(term.name)
    return not term.negated and (known is None or known.alone)


def _holds(node: Node, reading: Reading) -> bool:
    if isinstance(node, AllOf):
        return all(_holds(part, reading) for part in node.parts)
    if isinstance(node, AnyOf):
        return any(_holds(part, reading) for part in node.parts)
    if _hides_reposts(node, reading):
        return False
    return OPERATORS[node.name].test(reading, node) != node.negated


def _hides_reposts(term: Term, reading: Reading) -> bool:
    # Search returns no reposts for keywords. Source: X API docs, changelog 2026-05-04.
    return (
        reading.product == "search"
        and reading.post.reposted_id is not None
        and term.name in {"keyword", "phrase"}
        and not term.negated
    )
