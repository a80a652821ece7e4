"""A shop: its ERP tells of each shipped order, which is posted; customers ask by message.

The ERP calls `POST /hooks/order-shipped`, or `botkit events send order-shipped` on this machine.
"""

from msgspec import Struct

from botkit import Actions, Bot, BotState, DirectMessage, Match, Trigger
from botkit.filters import hook, matches

MOST = 1000


class Shipped(Struct, frozen=True):
    """What the ERP sends: no name and no address, because it is posted."""

    order: int
    country: str
    parcel: str


class Orders(Struct, frozen=True):
    """The parcels of the last orders, by the order's number."""

    parcels: dict[str, str] = {}


bot = Bot("shop", may={"message"})


@bot.on(Trigger, hook("order-shipped"))
async def shipped(trigger: Trigger, act: Actions, orders: BotState[Orders]) -> None:
    order = trigger.read(Shipped)  # what does not fit becomes a dead letter, and nothing is posted
    parcels = {**orders.value.parcels, str(order.order): order.parcel}
    orders.value = Orders(parcels=dict([*parcels.items()][-MOST:]))
    await act.post(f"Order {order.order} is on its way to {order.country}.")


@bot.on(DirectMessage, matches(r"(?i)order\D{0,5}(?P<number>\d+)"))
async def where(dm: DirectMessage, found: Match, act: Actions, orders: BotState[Orders]) -> None:
    number = found["number"]
    parcel = orders.value.parcels.get(number)
    if parcel is None:
        await act.message(dm, f"Order {number} is not shipped yet, or was shipped long ago.")
    else:
        await act.message(dm, f"Order {number} is on its way, in parcel {parcel}.")


if __name__ == "__main__":
    bot.run()
