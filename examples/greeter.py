"""A bot that greets back."""

from botkit import Actions, Bot, Mention
from botkit.filters import contains

bot = Bot("greeter")


@bot.on(Mention, contains("hello"))
async def greet(mention: Mention, act: Actions) -> None:
    await act.reply(mention, f"Hello @{mention.author.username}!")


if __name__ == "__main__":
    bot.run()
