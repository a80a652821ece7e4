"""The suite that every store driver must pass: each method, each race, each call done again.

A driver is plugged in by one fixture, as `tests/storage/test_sqlite_conformance.py` does:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def open_rival(self, clock): ...

`clock` is a fixture of the suite: a `SuiteClock` that stands still unless a test moves it.
`open_rival` returns a function without arguments, which returns an async context manager: another
handle on the same store, as another process would have it, opened with that clock. A new test
starts with an empty store.
"""

from __future__ import annotations

from tests.storage.conformance.accounts import AccountsConformance
from tests.storage.conformance.bench import SuiteClock
from tests.storage.conformance.credentials import CredentialsConformance
from tests.storage.conformance.deleted_posts import DeletedPostsConformance
from tests.storage.conformance.events import EventsConformance
from tests.storage.conformance.events_admin import EventsAdminConformance
from tests.storage.conformance.invitations import InvitationsConformance
from tests.storage.conformance.own_posts import OwnPostsConformance
from tests.storage.conformance.progress import ProgressConformance
from tests.storage.conformance.races import RacesConformance
from tests.storage.conformance.repeats import RepeatsConformance
from tests.storage.conformance.writes import WritesConformance

__all__ = ["StoreConformance", "SuiteClock"]


class StoreConformance(
    EventsConformance,
    EventsAdminConformance,
    DeletedPostsConformance,
    WritesConformance,
    OwnPostsConformance,
    CredentialsConformance,
    AccountsConformance,
    InvitationsConformance,
    ProgressConformance,
    RacesConformance,
    RepeatsConformance,
):
    """Every method of `botkit.ports.Store` and every race that it must win."""
