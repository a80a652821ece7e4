"""Find out who has the place of the filtered stream, and free it of an own connection.

A self-serve app has one. A connection that was lost uncleanly can keep it at X for a while, and
then X refuses the next. X tells when each was opened: so an own one is told from that of another
program, which is never closed. X does not list the activity streams of an app.
Source: X's OpenAPI document, `getConnectionHistory` and `deleteConnectionsByUuids`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from botkit.errors import BotkitError
from botkit.protocol.api import push_requests
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.api.json_values import is_list
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.errors import ResponseError
    from botkit.ports import Sender

__all__ = ["is_full", "make_room"]

_log = structlog.get_logger(__name__)

_SAME: Final = timedelta(seconds=2)
"""So far apart are X's time of a connect and this machine's at most."""
_FULL = "streaming-connection"


def is_full(error: ResponseError) -> bool:
    """Return True if X refused a connection because others have all places."""
    return error.problem_type == _FULL


async def make_room(sender: Sender, account_id: str, *, opened_at: datetime | None) -> str:
    """Close the own connection that was opened at that time and is dead, if X still has it.

    Return "" if it was closed, else words for who has the place.
    """
    try:
        answer = await sender.send(push_requests.filtered_connections(), account_id=account_id)
        items = answer.data if is_list(answer.data) else []
        for fields in map(Fields, items):
            since, connection_id = fields.moment("connected_at"), fields.id("id")
            if since is None or connection_id is None:
                continue
            if opened_at is None or abs(since - opened_at) > _SAME:
                return f"a connection from {fields.text('client_ip')} since {rfc3339(since)}"
            request = push_requests.close_connections([connection_id])
            await sender.send(request, account_id=account_id)
            _log.info("stream.place_freed", stream="filtered", since=rfc3339(since))
            return ""
    except BotkitError as error:
        return f"it is not known who ({error})"
    return "it is not known who"
