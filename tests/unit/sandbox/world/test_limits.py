"""Rate windows and the bill."""

from __future__ import annotations

from decimal import Decimal

import pytest


async def test_every_answer_says_what_is_left_of_the_window(peer):
    token = peer.token()

    first = await peer.call("GET", "/2/users/me", token=token)
    second = await peer.call("GET", "/2/users/me", token=token)

    assert first.headers["x-rate-limit-limit"] == "75"
    assert first.headers["x-rate-limit-remaining"] == "74"
    assert second.headers["x-rate-limit-remaining"] == "73"
    reset = int(first.headers["x-rate-limit-reset"])
    assert 899 <= reset - peer.clock.now().timestamp() <= 901


async def test_a_used_up_window_is_a_429_until_it_is_over(peer, read):
    token = peer.token()
    for _ in range(75):
        await peer.call("GET", "/2/users/me", token=token)

    limited = await peer.call("GET", "/2/users/me", token=token)
    await peer.clock.advance(900)
    after = await peer.call("GET", "/2/users/me", token=token)

    assert limited.status == 429
    assert read(limited) == {
        "title": "Too Many Requests",
        "detail": "Too Many Requests",
        "type": "about:blank",
        "status": 429,
    }
    assert limited.headers["x-rate-limit-remaining"] == "0"
    assert limited.headers["x-access-level"] == "read-write"
    assert after.status == 200


async def test_users_and_apps_have_windows_of_their_own(peer):
    greeter, ada = peer.token(), peer.token(user="ada")
    path = f"/2/users/{peer.ada.id}"

    mine = await peer.call("GET", path, token=greeter)
    hers = await peer.call("GET", path, token=ada)
    apps = await peer.call("GET", path, token=peer.app.bearer)

    assert mine.headers["x-rate-limit-remaining"] == hers.headers["x-rate-limit-remaining"]
    assert apps.headers["x-rate-limit-limit"] == "300"


async def test_the_daily_window_of_the_app_is_said_too(peer):
    answer = await peer.call("POST", "/2/tweets", token=peer.token(), body={"text": "hi"})

    assert answer.headers["x-rate-limit-limit"] == "100"
    assert answer.headers["x-app-limit-24hour-limit"] == "10000"
    assert answer.headers["x-app-limit-24hour-remaining"] == "9999"


async def test_limits_can_be_switched_off(peer):
    token = peer.token()
    peer.server.limits.enforced = False

    answers = [await peer.call("GET", "/2/users/me", token=token) for _ in range(80)]

    assert {answer.status for answer in answers} == {200}
    assert not any("x-rate-limit-limit" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("text", "summoned", "price"),
    [
        ("plain", False, "0.015"),
        ("see example.com", False, "0.200"),
        ("answer", True, "0.010"),
        ("answer https://example.com", True, "0.200"),
    ],
)
async def test_a_post_costs_by_what_it_is(peer, text, summoned, price):
    head = peer.world.add_post(peer.ada.id, "@greeter hi")
    body = {"text": text} | ({"reply": {"in_reply_to_tweet_id": head.id}} if summoned else {})

    await peer.call("POST", "/2/tweets", token=peer.token(), body=body)

    assert peer.app.spent_usd == Decimal(price)


async def test_a_failed_call_costs_nothing(peer):
    await peer.call("POST", "/2/tweets", token=peer.token(), body={"txt": "x"})

    assert peer.app.spent_usd == 0


async def test_a_read_costs_for_each_resource_once_a_day(peer):
    token = peer.token()
    for number in range(3):
        peer.world.add_post(peer.ada.id, f"@greeter {number}")
    path = f"/2/users/{peer.greeter.id}/mentions"

    await peer.call("GET", path, token=token)
    await peer.call("GET", path, token=token)
    assert peer.app.spent_usd == Decimal("0.015")

    await peer.clock.advance(24 * 3600)
    await peer.call("GET", path, token=peer.token())
    assert peer.app.spent_usd == Decimal("0.030")


async def test_an_empty_poll_costs_nothing(peer):
    await peer.call("GET", f"/2/users/{peer.greeter.id}/mentions", token=peer.token())

    assert peer.app.spent_usd == 0


async def test_reads_of_the_owner_of_the_app_cost_a_tenth_of_a_cent(peer):
    peer.app.owner_id = peer.greeter.id
    peer.world.add_post(peer.ada.id, "@greeter hi")

    await peer.call("GET", f"/2/users/{peer.greeter.id}/mentions", token=peer.token())

    assert peer.app.spent_usd == Decimal("0.001")


async def test_without_credits_nothing_goes(peer, read):
    token = peer.token()
    peer.server.faults.out_of_credit()

    answer = await peer.call("GET", "/2/users/me", token=token)
    peer.server.faults.out_of_credit(on=False)

    assert answer.status == 402
    assert read(answer)["title"] == "CreditsDepleted"
    assert read(answer)["type"] == "https://api.twitter.com/2/problems/credits"
    assert (await peer.call("GET", "/2/users/me", token=token)).status == 200


async def test_the_balance_goes_down_by_what_is_spent(peer):
    peer.app.credits_usd = Decimal("0.020")
    token = peer.token()

    first = await peer.call("POST", "/2/tweets", token=token, body={"text": "one"})
    second = await peer.call("POST", "/2/tweets", token=token, body={"text": "two"})
    third = await peer.call("POST", "/2/tweets", token=token, body={"text": "three"})

    assert (first.status, second.status, third.status) == (201, 201, 402)
    assert peer.app.credits_usd == Decimal("-0.010")


@pytest.mark.parametrize(
    ("verb", "status", "title"),
    [
        ("spend_cap", 403, "SpendCapReached"),
        ("usage_cap", 429, "UsageCapExceeded"),
        ("not_enrolled", 403, "Client Forbidden"),
    ],
)
async def test_what_happens_to_the_app_refuses_every_call_until_it_is_over(
    peer, read, verb, status, title
):
    token = peer.token()
    getattr(peer.server.faults, verb)()

    for bearer in (token, peer.app.bearer):
        answer = await peer.call("GET", "/2/users?ids=1", token=bearer)
        assert (answer.status, read(answer)["title"]) == (status, title)
    getattr(peer.server.faults, verb)(on=False)

    assert (await peer.call("GET", "/2/users/me", token=token)).status == 200


async def test_the_spending_limit_names_the_day_on_which_it_ends(peer, read):
    peer.server.faults.spend_cap()

    answer = await peer.call("GET", "/2/users/me", token=peer.token())

    assert "2026-01-01" in read(answer)["detail"]
