"""The suite that every store must pass, for backends of botkit and of others.

In a test module (pytest with pytest-asyncio in auto mode):

    pytest.register_assert_rewrite("tests.storage.conformance")  # in conftest.py

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def open_rival(self, clock): ...

`clock` is a fixture of the suite: a `SuiteClock` that stands still unless a test moves it.
`open_rival` must give a function without arguments that gives an async context manager: another
handle on the same store, as another process would have it, opened with that clock. A new test
starts with an empty store.
"""

from __future__ import annotations

from tests.storage.conformance.accounts import AccountsConformance
from tests.storage.conformance.bench import SuiteClock
from tests.storage.conformance.credentials import CredentialsConformance
from tests.storage.conformance.desk import DeskConformance
from tests.storage.conformance.events import EventsConformance
from tests.storage.conformance.invitations import InvitationsConformance
from tests.storage.conformance.progress import ProgressConformance
from tests.storage.conformance.races import RacesConformance
from tests.storage.conformance.writes import WritesConformance

__all__ = ["StoreConformance", "SuiteClock"]


class StoreConformance(
    EventsConformance,
    DeskConformance,
    WritesConformance,
    CredentialsConformance,
    AccountsConformance,
    InvitationsConformance,
    ProgressConformance,
    RacesConformance,
):
    """Every method of `botkit.ports.Store` and every race that it must win."""
