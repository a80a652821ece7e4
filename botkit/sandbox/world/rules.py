"""The settings of a simulated world: undocumented behavior of X, and values that tests change."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["WorldRules"]


class WorldRules(Struct, kw_only=True):
    """The rules of one world.

    Attributes:
        duplicate_window_s: How long X refuses the same text to the same target. Assumed.
        code_ttl_s: Life of an authorization code. Source: X docs, "Authorization code".
        access_ttl_s: Life of an OAuth 2.0 access token. Source: the same page.
        implicit_summons: Whether answering the account's own post counts as a summons.
        reuse_kills_grant: Whether sending a spent refresh token again ends the whole grant.
        refresh_kills_access: Whether a refresh ends the old access token at once.
        replies_to_replies: Whether `post.reply.create` is sent for a reply to a reply.
        max_text_weight: The longest text, in weighted units.
        stream_connections: How many activity streams an app may hold open.
        filtered_connections: How many filtered streams a self-serve app may hold open.
        newer_stream_wins: Whether a filtered stream too many closes the oldest one, instead of
            being refused. X's pages say either.
        rules_after_s: Seconds after which a new rule matches; X says up to about 20.
        webhook_retries_s: The waits after which a delivery that was not answered with 200 is made
            again. X promises retries without a schedule: this is that of its older API, assumed.
        challenge_nonce: Whether a challenge has a `nonce` beside its token, as observed.
        keep_alive_s: Seconds of silence after which a stream sends an empty line.
    """

    duplicate_window_s: float = 24 * 3600
    code_ttl_s: float = 30
    access_ttl_s: float = 7200
    implicit_summons: bool = True
    reuse_kills_grant: bool = False
    refresh_kills_access: bool = False
    replies_to_replies: bool = False
    max_text_weight: int = 280
    stream_connections: int = 2
    filtered_connections: int = 1
    newer_stream_wins: bool = False
    rules_after_s: float = 0
    webhook_retries_s: tuple[float, ...] = (3, 30, 300)
    challenge_nonce: bool = True
    keep_alive_s: float = 20
