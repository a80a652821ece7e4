"""A bot that follows a search, keeps a tally, and tells it to whoever summons it."""

from msgspec import Struct

from botkit import Actions, Bot, BotState, Mention, PostMatched, Search
from botkit.filters import contains

bot = Bot("teawatcher")
bot.hear(Search(query='"oolong tea" -is:retweet', tag="tea", most=100))


class Tally(Struct, frozen=True):
    """What was found so far."""

    posts: int = 0
    last_by: str = ""


@bot.on(PostMatched, tag="tea")
async def count(match: PostMatched, tally: BotState[Tally], act: Actions) -> None:
    tally.value = Tally(posts=tally.value.posts + 1, last_by=match.author.username)
    if match.is_summoned:  # X lets an app reply only to those who named it
        await act.reply(match, "Oolong! I have counted this one.")


@bot.on(Mention, contains("how many"))
async def tell(mention: Mention, tally: BotState[Tally], act: Actions) -> None:
    found = tally.value
    last = f", the last one by {found.last_by}" if found.posts else ""
    await act.reply(mention, f"{found.posts} posts on oolong tea so far{last}.")


if __name__ == "__main__":
    bot.run()
