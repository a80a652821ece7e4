"""Keep an app's rules of the filtered stream as the bot declares them.

Rules stay at X and belong to the whole app. Only those whose tag begins with the bot's own prefix
are changed. X keeps one rule of a value: a rule of others with the same value serves the bot, too.
Source: X API docs, "Filtered stream", "Build a rule"; answers seen on the wire (`DuplicateRule`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct, field, structs

from botkit.errors import ConfigError
from botkit.model.sources import Rule, Search
from botkit.protocol.api import push_requests
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.api.json_values import is_list
from botkit.protocol.api.pagination import PageTrail
from botkit.protocol.events.matches import StoredRule, rules_of
from botkit.protocol.queries.syntax import faults_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.ports import Sender
    from botkit.protocol.api.responses import Response
    from botkit.routing.declared_sources import Sources

__all__ = ["Comparison", "KeptRules", "StreamRules", "check_plan"]

_log = structlog.get_logger(__name__)

_AT_ONCE = 100
_MOST_RULES = {"self-serve": 1000, "enterprise": 25_000}
"""Rules of an app. Source: X API docs, "Filtered stream"."""


class Comparison(Struct, frozen=True, kw_only=True):
    """Hold how the rules at X differ from those that the bot declares.

    Attributes:
        there: Those that are there as declared.
        missing: Those to add.
        stale: The bot's own that it does not declare any more.
        foreign: The number of rules of others, which stay.
    """

    there: tuple[StoredRule, ...]
    missing: tuple[Rule, ...]
    stale: tuple[StoredRule, ...]
    foreign: int


class KeptRules(Struct, frozen=True, kw_only=True):
    """Hold the rules that X has now.

    Attributes:
        tags: The bot's tags by the id of the rule at X that finds their posts.
        refused: Why X refused a rule, by the rule's tag.
    """

    tags: dict[str, tuple[str, ...]]
    refused: dict[str, str]


class StreamRules:
    """Compare and reconcile the rules of one app.

    Args:
        bot: The bot's name; its rules at X have tags that begin with `botkit:<bot>:`.
    """

    def __init__(self, sender: Sender, wanted: Sequence[Rule], *, bot: str) -> None:
        self._sender = sender
        self._prefix = prefix = f"botkit:{bot}:"
        self._wanted = [structs.replace(rule, tag=f"{prefix}{rule.tag}") for rule in wanted]

    async def compare(self, account_id: str) -> Comparison:
        """Return how the rules at X differ; change nothing. The app of the account is asked."""
        known = await self.listing(account_id)
        wanted = {(rule.tag, rule.value): rule for rule in self._wanted}
        there: dict[tuple[str, str], StoredRule] = {}
        stale: list[StoredRule] = []
        foreign = 0
        for rule in known:
            key = (rule.tag, rule.value)
            if key in wanted and key not in there:
                there[key] = rule
            elif self.owns(rule):
                stale.append(rule)
            else:
                foreign += 1
        missing = tuple(rule for key, rule in wanted.items() if key not in there)
        return Comparison(
            there=tuple(there.values()), missing=missing, stale=tuple(stale), foreign=foreign
        )

    async def prepare(self, account_id: str) -> KeptRules:
        """Add the missing rules and delete the stale ones; return the bot's rules at X.

        Raises:
            ResponseError: X refused a call.
        """
        found = await self.compare(account_id)
        values = {rule.value for rule in found.missing}
        # X would refuse a new rule as a duplicate of the stale one.
        await self._delete([rule for rule in found.stale if rule.value in values], account_id)
        kept = _Kept(rule_ids={rule.tag: rule.id for rule in found.there})
        for start in range(0, len(found.missing), _AT_ONCE):
            portion = found.missing[start : start + _AT_ONCE]
            request = push_requests.add_rules(portion)
            kept.take(await self._sender.send(request, account_id=account_id), portion)
        if found.missing:
            _log.info("rules.added", tags=[self._own(rule.tag) for rule in found.missing])
        await self._delete([rule for rule in found.stale if rule.value not in values], account_id)
        tags: dict[str, tuple[str, ...]] = {}
        for tag, rule_id in kept.rule_ids.items():
            tags[rule_id] = (*tags.get(rule_id, ()), self._own(tag))
        return KeptRules(
            tags=tags, refused={self._own(tag): why for tag, why in kept.refused.items()}
        )

    async def _delete(self, stale: Sequence[StoredRule], account_id: str) -> None:
        for start in range(0, len(stale), _AT_ONCE):
            ids = [rule.id for rule in stale[start : start + _AT_ONCE]]
            await self._sender.send(push_requests.delete_rules(ids), account_id=account_id)
        if stale:
            _log.info("rules.removed_as_stale", tags=[self._own(rule.tag) for rule in stale])

    async def check(self, missing: Sequence[Rule], account_id: str) -> dict[str, str]:
        """Have X check the missing rules without adding them; return refusals by tag."""
        if not missing:
            return {}
        request = push_requests.add_rules(missing, dry_run=True)
        kept = _Kept()
        kept.take(await self._sender.send(request, account_id=account_id), missing)
        return {self._own(tag): why for tag, why in kept.refused.items()}

    def owns(self, rule: StoredRule) -> bool:
        """Return True if a rule at X is the bot's."""
        return rule.tag.startswith(self._prefix)

    def _own(self, tag: str) -> str:
        """Return a tag as the bot declares it."""
        return tag.removeprefix(self._prefix)

    async def listing(self, account_id: str) -> list[StoredRule]:
        """Return all rules of the app, those of others included."""
        request = push_requests.list_rules()
        trail = PageTrail(request.name)
        found: list[StoredRule] = []
        while True:
            answer = await self._sender.send(request, account_id=account_id)
            found += rules_of(answer)
            token = trail.next_token(answer)
            if token is None:
                return found
            request = push_requests.list_rules(pagination_token=token)


def check_plan(declared: Sources, *, plan: str) -> None:
    """Check what the app's plan allows of the declared rules and searches.

    Raises:
        ConfigError: There are too many rules, or a rule or query is too long.
    """
    problems = [
        f"the rule {rule.tag!r}: {fault}"
        for rule in declared.rules
        for fault in faults_of(rule.value, "stream", plan=plan)
    ]
    problems += [
        f"the search {search.tag!r}: {fault}"
        for search in declared.polled
        if isinstance(search, Search)
        for fault in faults_of(search.query, "search", plan=plan)
    ]
    if len(declared.rules) > _MOST_RULES[plan]:
        problems.append(
            f"the bot declares {len(declared.rules)} rules, an app has {_MOST_RULES[plan]}"
        )
    if problems:
        raise ConfigError(
            "; ".join(problems) + ".",
            problems=problems,
            hint=f"The app's plan is {plan} ([apps.NAME] plan). X's limits:"
            " https://docs.x.com/x-api/posts/filtered-stream/introduction",
        )


class _Kept(Struct, kw_only=True):
    """Collect the answers of X: the id that serves each rule, or the refusal, by tag."""

    rule_ids: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, str] = field(default_factory=dict[str, str])

    def take(self, answer: Response, asked: Sequence[Rule]) -> None:
        """Take the answer to a request to add rules."""
        added = {(rule.tag, rule.value): rule.id for rule in rules_of(answer)}
        errors = {error.value: error for error in map(_refusal_of, answer.errors)}
        for rule in asked:
            rule_id = added.get((rule.tag, rule.value))
            error = errors.get(rule.value, _NOT_CREATED)
            if rule_id is None and error.is_duplicate:
                rule_id = error.rule_id
            if rule_id:
                self.rule_ids[rule.tag] = rule_id
            else:
                self.refused[rule.tag] = error.why


class _Refusal(Struct, frozen=True, kw_only=True):
    """Hold X's refusal of one rule; for a duplicate, with the id of the rule that is there."""

    value: str = ""
    rule_id: str = ""
    is_duplicate: bool = False
    why: str = "X did not create it"


_NOT_CREATED = _Refusal()


def _refusal_of(error: dict[str, object]) -> _Refusal:
    fields = Fields(error)
    title = fields.text("title") or ""
    details = error.get("details")
    words = [title, *(str(each) for each in details)] if is_list(details) else [title]
    return _Refusal(
        value=fields.text("value") or "",
        rule_id=fields.id("id") or "",
        is_duplicate=title == "DuplicateRule",
        why=": ".join(filter(None, words)) or _NOT_CREATED.why,
    )
