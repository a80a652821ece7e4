"""The shop posts each shipped order once, and answers for it by message."""

from botkit.sandbox import Sandbox
from examples.shop import bot

ORDER = {"order": 1042, "country": "Peru", "parcel": "JD014600"}


async def test_a_shipped_order_is_posted_once_however_often_the_erp_says_so(
    sandbox: Sandbox,
) -> None:
    async with sandbox.running(bot) as process:
        assert await process.trigger("order-shipped", ORDER, delivery="1042")
        assert not await process.trigger("order-shipped", ORDER, delivery="1042")
        await sandbox.settle()
    assert sandbox.posts_by("shop") == ["Order 1042 is on its way to Peru."]


async def test_a_customer_who_asks_for_the_order_gets_its_parcel_by_message(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        await ada.messages("shop", "Where is my order #1042?")
        await process.trigger("order-shipped", ORDER)
        await ada.messages("shop", "And now? Order 1042")
        await sandbox.settle()
    assert sandbox.messages_to(ada) == [
        "Order 1042 is not shipped yet, or was shipped long ago.",
        "Order 1042 is on its way, in parcel JD014600.",
    ]


async def test_a_lost_answer_and_a_crash_post_nothing_twice(sandbox: Sandbox) -> None:
    sandbox.faults.lose_answer("POST /2/tweets")
    async with sandbox.running(bot) as process:
        await process.trigger("order-shipped", ORDER)
        await process.crash()
    async with sandbox.running(bot):
        await sandbox.settle()
    assert sandbox.posts_by("shop") == ["Order 1042 is on its way to Peru."]


async def test_what_does_not_fit_is_posted_nowhere_and_kept_for_a_person(
    sandbox: Sandbox,
) -> None:
    async with sandbox.running(bot) as process:
        await process.trigger("order-shipped", {"order": "all of them"})
        await sandbox.settle(may_fail=True)
        (letter,) = await process.store.events.dead()
    assert letter.reason == "undecodable"
    assert sandbox.posts_by("shop") == []
