"""Every write is checked in one order, and refused with the reason and the cure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from botkit.errors import (
    AlreadyReplied,
    BotkitError,
    DuplicateText,
    LevelTooLow,
    LinkNotAllowed,
    MissingScope,
    NotDeclared,
    NotSummoned,
    OptedOut,
    Parked,
    TextTooLong,
    TooManyAnswers,
    TooManyCashtags,
    UnsolicitedMention,
    WrongCredential,
)
from botkit.model.events import PostSeen, Reply
from botkit.model.posts import Post
from botkit.model.records import StoredOptOut
from botkit.model.tokens import CredentialKind
from botkit.model.users import User
from botkit.protocol.api import requests
from botkit.protocol.rules.policy import PostRules
from botkit.runtime.writes.checks.budget import BudgetLimits
from botkit.runtime.writes.checks.guard import ANSWERS_OPT_OUTS, Guard, Rules
from tests.unit.runtime.writing import (
    ADA,
    BOB,
    LOST,
    ME,
    T0,
    Office,
    delete_step,
    mention,
    message_step,
    open_office,
    post_step,
    reply_step,
    usd,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def test_a_step_that_may_be_sent_gets_what_is_shown_of_it(office: Office) -> None:
    verdict = await office.guard.check(reply_step())
    assert verdict.credential is CredentialKind.OAUTH2
    assert verdict.cost_usd == usd("0.010")
    assert verdict.summons == "yes"
    assert "tweet.write" in verdict.need


async def test_a_message_is_nobodys_summons_and_may_be_longer_than_a_post(office: Office) -> None:
    assert (await office.guard.check(message_step("word " * 100))).summons == ""


async def break_everything(office: Office) -> list[type[BaseException]]:
    """Everything is wrong at once; gives what the guard must complain about, in its order."""
    office.may = frozenset()
    office.x.holdings = {CredentialKind.OAUTH2: ("tweet.read",)}
    await office.store.accounts.opt_out(StoredOptOut(account_id=ME, user_id=ADA, at=T0))
    office.limits = BudgetLimits(day_usd=usd("0.001"))
    office.x.not_ready = Parked("rate")
    office.start()
    office.guard.health.stop(ME, "code 64")
    return [NotDeclared, MissingScope, OptedOut, NotSummoned, AlreadyReplied, DuplicateText]


async def test_the_gates_stand_in_one_order(office: Office) -> None:
    first = reply_step("Hello")
    await office.outbox.perform(first)
    expected = await break_everything(office)
    seen = mention()
    unasked = PostSeen(account_id=ME, at=T0, post=seen.post, author=seen.author)
    step = reply_step("Hello", n=1, to=unasked)
    cures = [
        lambda: setattr(office.guard, "_may", frozenset({"reply"})),
        lambda: setattr(office.x, "holdings", {CredentialKind.OAUTH1: ("read-write",)}),
    ]
    met: list[type[BaseException]] = []

    async def meet(what: object) -> Parked | BotkitError:
        with pytest.raises((BotkitError, Parked)) as raised:
            await office.guard.check(what)  # type: ignore[arg-type]
        met.append(type(raised.value))
        assert isinstance(raised.value, BotkitError | Parked)
        return raised.value

    await meet(step)
    for cure in cures:
        cure()
        await meet(step)
    await office.store.accounts.opt_in(ME, ADA)
    await meet(step)
    await meet(reply_step("Hello", n=1))
    own = Post(id=first.target, text="mine", author_id=ME)
    await meet(reply_step("Hello", n=2, to=own))
    assert met == expected
    other = mention("1999000000000000501")
    later: list[str] = []
    for cure_now in (
        lambda: office.guard.health.works(ME),
        lambda: setattr(office.budget, "limits", BudgetLimits()),
        lambda: setattr(office.x, "not_ready", None),
    ):
        parked = await meet(reply_step("Hi", to=other))
        assert isinstance(parked, Parked)
        later.append(parked.waiting_for)
        cure_now()
    assert later == ["account", "budget", "rate"]
    await office.guard.check(reply_step("Hi", to=other))


@pytest.mark.parametrize("cause", ["login", "credits", "account"])
async def test_a_login_that_is_not_ready_comes_before_the_budget(
    office: Office, cause: str
) -> None:
    office.limits = BudgetLimits(day_usd=usd("0.001"))
    office.start()
    office.x.not_ready = Parked(cause)
    with pytest.raises(Parked, match=cause):
        await office.guard.check(post_step())


async def test_a_budget_that_is_used_up_parks_though_the_rate_window_is_open(
    office: Office,
) -> None:
    office.limits = BudgetLimits(day_usd=usd("0.020"))
    office.start()
    await office.guard.check(post_step())
    office.budget.charge(ME, usd("0.010"))
    for not_ready in (None, Parked("rate")):
        office.x.not_ready = not_ready
        with pytest.raises(Parked, match="budget"):
            await office.guard.check(post_step())


async def test_a_missing_scope_names_operation_have_need_and_cure(office: Office) -> None:
    office.x.holdings = {CredentialKind.OAUTH2: ("tweet.read", "users.read")}
    with pytest.raises(MissingScope) as raised:
        await office.guard.check(post_step())
    no = raised.value
    assert (no.operation, no.have) == ("createPosts", ("tweet.read", "users.read"))
    assert "tweet.write" in no.need
    assert "botkit setup" in no.cure


async def test_a_level_that_is_too_low_and_a_missing_credential_are_refused(
    office: Office,
) -> None:
    office.x.holdings = {CredentialKind.OAUTH1: ("read",)}
    with pytest.raises(LevelTooLow):
        await office.guard.check(post_step())
    office.x.holdings = {}
    with pytest.raises(WrongCredential):
        await office.guard.check(post_step())


async def test_not_declared_says_what_to_write(office: Office) -> None:
    office.may = frozenset()
    office.start()
    with pytest.raises(NotDeclared, match=r'may nothing\..*may=\{"reply"\}'):
        await office.guard.check(reply_step())


async def test_not_declared_lists_what_the_bot_may_in_order(office: Office) -> None:
    may = frozenset({"reply", "hide", "message", "list", "mute", "delete"})
    office.may = may
    office.start()
    with pytest.raises(NotDeclared, match="may delete, hide, list, message, mute, reply"):
        await office.guard.check(post_step())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x" * 281, TextTooLong),
        ("$AAA and $BBB", TooManyCashtags),
        ("Ask @bob", UnsolicitedMention),
    ],
)
async def test_a_text_that_breaks_a_rule_is_refused(
    office: Office, text: str, error: type[BotkitError]
) -> None:
    with pytest.raises(error):
        await office.guard.check(reply_step(text))


async def test_the_operators_rules_count(office: Office) -> None:
    rules = Rules(post=PostRules(links=False, may_mention=frozenset({"bob"}), limit=1000))
    office.start(rules=rules)
    with pytest.raises(LinkNotAllowed):
        await office.guard.check(post_step("See https://example.org"))
    await office.guard.check(post_step("Thanks @bob " + "x" * 400))


async def test_a_text_may_have_links_that_the_settings_do_not_allow_and_the_other_way(
    office: Office,
) -> None:
    for allowed in (True, False):
        office.start(rules=Rules(post=PostRules(bare_links=not allowed)))
        for own, passes in ((None, not allowed), (allowed, allowed)):
            step = post_step("see README.md", bare_links=own)
            if passes:
                await office.guard.check(step)
            else:
                with pytest.raises(LinkNotAllowed):
                    await office.guard.check(step)


async def test_an_author_that_got_enough_answers_still_gets_the_answer_to_an_opt_out(
    office: Office,
) -> None:
    office.start(rules=Rules(post=PostRules(answers_per_author=1)))
    office.guard.answer_limit.note(reply_step())
    with pytest.raises(TooManyAnswers):
        await office.guard.check(reply_step())
    await office.guard.check(reply_step(handler=ANSWERS_OPT_OUTS))


def test_the_name_under_which_opt_outs_are_answered_stays_because_it_is_stored() -> None:
    """It is a part of a write's key: under another name the answer would be sent once more."""
    assert ANSWERS_OPT_OUTS == "botkit/opt-outs"


async def test_an_opt_out_is_for_one_account_and_stops_messages_too(office: Office) -> None:
    await office.store.accounts.opt_out(StoredOptOut(account_id=ME, user_id=ADA, at=T0))
    for step in (reply_step(), message_step()):
        with pytest.raises(OptedOut):
            await office.guard.check(step)
    await office.guard.check(message_step(user_id=BOB))
    await office.guard.check(message_step(account_id="42"))
    await office.guard.check(message_step(handler=ANSWERS_OPT_OUTS))  # tells that it was heard


async def test_what_is_aimed_at_nobody_is_looked_up_in_no_list_of_opt_outs(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opted_out(*args: str) -> None:
        raise AssertionError("a read for nothing")

    monkeypatch.setattr(office.store.accounts, "opted_out", opted_out)
    await office.guard.check(post_step())


async def test_a_direct_reply_is_taken_for_a_summons(office: Office) -> None:
    post = Post(id="9", text="and you?", author_id=ADA, in_reply_to_user_id=ME)
    event = Reply(account_id=ME, at=T0, post=post, author=User(id=ADA, username="ada", name="Ada"))
    assert (await office.guard.check(reply_step(to=event))).summons == "assumed"


async def test_the_accounts_own_thread_needs_no_summons_and_may_go_on(office: Office) -> None:
    head = Post(id="70", text="Weather", author_id=ME, conversation_id="70")
    for n, text in enumerate(("And the outlook", "And the sea")):
        verdict = await office.guard.check(reply_step(text, to=head, n=n))
        assert verdict.summons == "own"
        await office.outbox.perform(reply_step(text, to=head, n=n))


async def test_an_interaction_has_its_reply_while_that_may_have_happened(office: Office) -> None:
    office.x.script = [LOST]
    with pytest.raises(Parked):
        await office.outbox.perform(reply_step("Hello"))
    edited = mention(
        "1999000000000000777", edit_history=("1999000000000000500", "1999000000000000777")
    )
    with pytest.raises(AlreadyReplied):
        await office.guard.check(reply_step("Hello again", to=edited))


async def test_the_same_text_may_be_sent_again_after_the_window(office: Office) -> None:
    await office.outbox.perform(post_step("Good  morning "))
    again = post_step("Good morning", n=1)
    with pytest.raises(DuplicateText, match="as a post on 2026-11-23T12:30:00Z"):
        await office.guard.check(again)
    office.clock.move(timedelta(hours=23, minutes=59).total_seconds())
    with pytest.raises(DuplicateText):
        await office.guard.check(again)
    office.clock.move(timedelta(minutes=1, seconds=1).total_seconds())
    await office.guard.check(again)


async def test_the_same_text_to_another_target_is_another_text(office: Office) -> None:
    await office.outbox.perform(post_step("Hello"))
    await office.outbox.perform(reply_step("Hello"))
    head = Post(id="70", text="mine", author_id=ME)
    await office.outbox.perform(reply_step("Hello", to=head))
    with pytest.raises(DuplicateText, match="in answer to post 70"):
        await office.guard.check(reply_step("Hello", to=head, n=1))


async def test_accounts_do_not_wait_for_each_others_steps(office: Office) -> None:
    for step, other in (
        (post_step("Hello"), post_step("Hello", account_id="42")),
        (reply_step("Hello"), reply_step("Hello", account_id="42")),
    ):
        async with office.guard.without_rivals(step), office.guard.without_rivals(other):
            assert len(office.guard._lock) == 2 * (1 + bool(step.interaction))


async def test_a_step_does_not_stand_in_its_own_way(office: Office) -> None:
    step = reply_step()
    await office.outbox.perform(step)
    await office.guard.check(step)
    async with office.guard.without_rivals(step):
        pass
    with pytest.raises(AlreadyReplied):
        await office.guard.check(reply_step(n=1))


async def test_messages_and_what_has_no_text_are_never_duplicates(office: Office) -> None:
    await office.outbox.perform(message_step("ok"))
    await office.guard.check(message_step("ok", n=1))
    for step in (delete_step(), message_step()):
        async with office.guard.without_rivals(step):
            assert len(office.guard._lock) == 0
    picture = post_step("", request=requests.create_post(""))
    await office.outbox.perform(picture)
    await office.guard.check(post_step("", n=1))


async def test_a_guard_without_more_has_the_usual_rules(office: Office) -> None:
    guard = Guard(
        may=frozenset({"post"}),
        store=office.store,
        sender=office.x,
        clock=office.clock,
        budget=office.budget,
    )
    await guard.check(post_step("See https://example.org"))
    assert guard.health.stops_of(ME) == 0
    with pytest.raises(NotDeclared):
        await guard.check(delete_step())
