"""The greeter greets once, whatever happens."""

from botkit.sandbox import Sandbox
from examples.greeter import bot


async def test_greets_once_even_if_the_answer_is_lost_and_the_process_dies(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    sandbox.faults.lose_answer("POST /2/tweets")  # X takes the post, we never hear of it

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await process.crash()
    async with sandbox.running(bot):
        await sandbox.settle()  # no event due, every write final; moves virtual time for that

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_says_nothing_to_other_words(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        await ada.posts("@greeter good evening")
        await sandbox.settle()

    assert sandbox.posts_by("greeter") == []
