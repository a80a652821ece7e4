"""A bearer token that the operator gave to setup: kept sealed, read again at each start.

One in the settings is stronger; one that was fetched with the app's keys is the bearer keeper's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from botkit.client.logins.endpoints import AppKeys
    from botkit.ports import Store, VaultPort

__all__ = ["GIVEN", "forget_bearer", "keep_bearer", "with_kept_bearers"]

GIVEN = "given"
"""Marks the row: its token came from a person, not from the app's key and secret."""
_FIELD = "bearer_token"


async def keep_bearer(
    store: Store, vault: VaultPort, app: str, token: Secret, *, now: datetime
) -> None:
    """Seal and store an app's bearer token; replaces what was kept before."""
    kind = CredentialKind.APP_ONLY
    known = await store.credentials.get("", app, kind)
    gen = 1 if known is None else known.gen + 1
    sealed = vault.seal({_FIELD: token}, account_id="", app=app, kind=kind, gen=gen)
    await store.credentials.replace(
        CredentialRow(
            account_id="",
            app=app,
            kind=kind,
            gen=gen,
            sealed=sealed,
            since=now,
            granted_at=now,
            last_success=now,
            config_fingerprint=GIVEN,
        )
    )


async def forget_bearer(store: Store, app: str) -> None:
    """Remove it: it turned out not to be this app's."""
    await store.credentials.remove("", app, CredentialKind.APP_ONLY)


async def with_kept_bearers(
    apps: Mapping[str, AppKeys], store: Store, vault: VaultPort
) -> dict[str, AppKeys]:
    """The apps, those without any way to a bearer token with the one that was kept."""
    found: dict[str, AppKeys] = {}
    for name, keys in apps.items():
        found[name] = keys
        if keys.can_act_as_app:
            continue
        row = await store.credentials.get("", name, CredentialKind.APP_ONLY)
        if row is None or row.config_fingerprint != GIVEN:
            continue
        tokens = vault.open(row.sealed, account_id="", app=name, kind=row.kind, gen=row.gen)
        found[name] = msgspec.structs.replace(keys, bearer_token=tokens[_FIELD])
    return found
