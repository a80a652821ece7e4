"""The factories that `provide` registers: the types they make, how values open and close."""

from __future__ import annotations

import collections.abc
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, get_args, get_origin

from msgspec import Struct

from botkit.errors import WiringError
from botkit.routing.signatures import (
    NOTHING,
    Unreadable,
    asked_of,
    is_async,
    name_of,
    returned_by,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Provider"]

_OPENED = {
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    AbstractAsyncContextManager,
}


class Provider(Struct, frozen=True, kw_only=True):
    """A factory registered by `provide`. Its value opens before the first event, once per run.

    Attributes:
        factory: A function, an async function, or one made by `asynccontextmanager`.
        place: File and line.
    """

    factory: Callable[[], Any]
    place: str

    def provided(self) -> Any:
        """Return the type of the value, read from the factory's return annotation.

        Raises:
            WiringError: The factory has no such annotation, or needs arguments.
        """
        if any(not (asked.default or asked.gathers) for asked in asked_of(self.factory)):
            raise WiringError("a factory takes no parameters")
        if inspect.isasyncgenfunction(self.factory):
            raise WiringError("it is an async generator: decorate it with @asynccontextmanager")
        made = returned_by(self.factory)
        if isinstance(made, Unreadable):
            raise WiringError(f"what it makes is unknown: {made.why}")
        if get_origin(made) in _OPENED or made in _OPENED:
            made = next(iter(get_args(made)), NOTHING)
        if made in {NOTHING, Any, None, type(None)}:
            raise WiringError(
                "what it makes is unknown: annotate its return type, as in `async def "
                "open_model() -> Model`"
            )
        return made

    def open(self) -> AbstractAsyncContextManager[Any]:
        """Make a value and close it at the end of the block."""
        if get_origin(returned_by(self.factory)) in _OPENED:
            opened: AbstractAsyncContextManager[Any] = self.factory()
            return opened
        return self._made()

    @asynccontextmanager
    async def _made(self) -> AsyncGenerator[Any]:
        made = await self.factory() if is_async(self.factory) else self.factory()
        wanted = returned_by(self.factory)
        if made is None and isinstance(wanted, type) and wanted is not NOTHING:
            raise WiringError(
                f"{name_of(self.factory)} ({self.place}) made None, not a {wanted.__name__}: "
                "does it return the value?"
            )
        yield made
