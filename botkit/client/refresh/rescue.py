"""What X granted and the store did not take: kept in the rescue file until the store has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.errors import Conflict, StateError

if TYPE_CHECKING:
    from botkit.client.logins.login_rows import LoginRows
    from botkit.client.logins.rescue_file import Rescued, RescuePlace
    from botkit.model.records import CredentialRow

__all__ = ["Salvager"]

_log = structlog.get_logger(__name__)

_MOST_SALVAGES = 16


class Salvager:
    """Writes the rescue file anew at each change; without one, memory is all there is."""

    def __init__(self, rescue: RescuePlace | None, rows: LoginRows) -> None:
        self._rescue = rescue
        self._rows = rows
        self._entries: list[Rescued] = []

    async def restore(self) -> list[Rescued]:
        """At start: give the store what it could not take; gives what it still cannot."""
        if self._rescue is None:
            return []
        try:
            self._entries = await self._rescue.load()
        except (OSError, ValueError) as error:
            _log.error("rescue_file.not_read", why=str(error))
            return []
        for entry in [entry for entry in self._entries if not entry.salvage]:
            await self.store(entry)
        return [entry for entry in self._entries if not entry.salvage]

    async def keep(self, entry: Rescued) -> bool:
        """Keep one more; False when there is no file that could be written."""
        salvages = [old for old in self._entries if old.salvage][-_MOST_SALVAGES:]
        others = [old for old in self._entries if not old.salvage and not _same(old, entry)]
        self._entries = [*others, *salvages, entry]
        return await self._write()

    async def store(self, entry: Rescued) -> CredentialRow | None:
        """Try to give one to the store; gives the login that the store then has, None if none.

        What the store has taken, or has something newer for, leaves the file.

        Raises:
            Nothing: `entry` is still among those to be kept when the store cannot be used.
        """
        row: CredentialRow | None = None
        try:
            try:
                await self._rows.store_result(entry.row, entry.intent_id)
            except Conflict:
                _log.info("rescued_login.superseded", account=entry.row.account_id)
            row = await self._rows.again(entry.row)
        except StateError as error:
            _log.error("rescued_login.not_stored", account=entry.row.account_id, why=error.message)
            return None
        if entry in self._entries:
            self._entries.remove(entry)
            await self._write()
        return row

    async def _write(self) -> bool:
        if self._rescue is None:
            return False
        try:
            await self._rescue.keep(self._entries)
        except OSError as error:
            _log.error("rescue_file.not_written", why=str(error))
            return False
        return True


def _same(one: Rescued, other: Rescued) -> bool:
    place = (one.row.account_id, one.row.app, one.row.kind)
    return place == (other.row.account_id, other.row.app, other.row.kind)
