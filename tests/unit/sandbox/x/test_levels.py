"""The sandbox's own rule of OAuth 1.0a levels and the product's, held against each other."""

from __future__ import annotations

from botkit.model.tokens import CredentialKind
from botkit.protocol.api.operations import all_operations
from botkit.protocol.rules.access import level_needed
from botkit.sandbox.x import server

LOOSER = {"chatMediaDownload", "getMediaUploadStatus"}
"""Reads by a scope of writing; whether X asks OAuth 1.0a for more than "Read" is not known."""


def test_both_ask_the_same_level_for_each_call_that_an_oauth1_token_may_make() -> None:
    for operation in all_operations():
        if CredentialKind.OAUTH1 in operation.kinds and operation.id not in LOOSER:
            asked = server._LEVELS[server._level_needed(operation)]
            assert asked == level_needed(operation), operation.id
