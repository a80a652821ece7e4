"""Two machines that share one store and nothing else: no kernel lock, no word of who lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.client.refresh.refresh_leader import LeasedRole
from botkit.client.refresh.refresh_lock import LeasedRefreshLock, Tenure
from botkit.errors import StoreUnavailable
from tests.unit.client.keeping import Groups, Kept, keeper_in

if TYPE_CHECKING:
    from botkit.model.records import Fence
    from botkit.ports import Store
    from tests.unit.client.fakes import World

__all__ = ["Host"]


class _Leases:
    """Leases of a host; one that is frozen takes, renews and gives back none."""

    def __init__(self, leases: Any, host: Host) -> None:
        self._leases = leases
        self._host = host
        self.holder = leases.holder

    async def acquire(self, name: str, owner: str, **more: Any) -> Fence | None:
        self._refuse()
        found: Fence | None = await self._leases.acquire(name, owner, **more)
        return found

    async def renew(self, fence: Fence, **span: Any) -> None:
        self._refuse()
        await self._leases.renew(fence, **span)

    async def release(self, fence: Fence) -> None:
        self._refuse()
        await self._leases.release(fence)

    def _refuse(self) -> None:
        if self._host.frozen:
            raise StoreUnavailable("frozen")


class _HostStore(Groups):
    def __init__(self, world: World, host: Host) -> None:
        super().__init__(world)
        self.leases: Any = _Leases(world.leases, host)


class Host:
    """One machine. `dead` names owners that it knows to have ended."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.frozen = False
        self.dead: set[str] = set()
        self.store: Store = _HostStore(world, self)  # type: ignore[assignment]

    async def lives(self, owner: str) -> bool | None:
        return False if owner in self.dead else None

    def lock(self, tenure: Tenure | None = None) -> LeasedRefreshLock:
        return LeasedRefreshLock(
            self.store,
            clock=self.world.clock,
            entropy=self.world.entropy,
            owner=self.name,
            lives=self.lives,
            tenure=tenure or Tenure(),
        )

    def role(self, *, stays: bool = False) -> LeasedRole:
        return LeasedRole(
            self.store,
            self.world.clock,
            owner=self.name,
            lives=self.lives,
            tenure=Tenure(stays=stays),
        )

    def terms(self, **more: Any) -> dict[str, Any]:
        """What a keeper of logins on this machine is made with."""
        return {"lock": self.lock(), "owner": self.name, "lives": self.lives, **more}

    def keeper(self, **more: Any) -> Kept:
        return keeper_in(self.world, **self.terms(**more))
