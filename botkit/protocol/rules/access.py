"""Turn a bot's `may` into operations and scopes, and choose the credential for an operation.

OAuth 2.0 is judged by the scopes that X granted, OAuth 1.0a by the access level that X sent. An
unknown level is no reason to refuse: X decides then.

Source: X API docs, "OAuth 2.0 scopes" and "App permissions"; X's OpenAPI document.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from botkit.errors import LevelTooLow, MissingScope, WrongCredential
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.operations import operation
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import datetime

    from botkit.errors import AccessDenied
    from botkit.protocol.api.operations import Operation

__all__ = [
    "ALWAYS",
    "CAPABILITIES",
    "DEFAULT_MAY",
    "NO_SUCH_WORD",
    "WITHOUT_ACTION",
    "call_fault",
    "choose_credential",
    "dated",
    "is_known_level",
    "is_level_refusal",
    "kind_of",
    "level_hint",
    "level_needed",
    "named",
    "operations_for",
    "scopes_for",
]

DEFAULT_MAY = ("post", "reply")
"""The `may` of a bot that names none."""

ALWAYS = ("getUsersMe", "getPostsById", "getUsersPosts")
"""The operations of every bot: read itself, and look up a write of unknown outcome."""

CAPABILITIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "post": ("createPosts",),
        "reply": ("createPosts",),
        "message": (
            "createDirectMessagesByParticipantId",
            "createDirectMessagesByConversationId",
            # To receive the answers, and to look up a message of unknown outcome.
            "getDirectMessagesEvents",
            "getDirectMessagesEventsByParticipantId",
            "getDirectMessagesEventsByConversationId",
        ),
        "media": (
            "mediaUpload",
            "initializeMediaUpload",
            "appendMediaUpload",
            "finalizeMediaUpload",
            "getMediaUploadStatus",
            "createMediaMetadata",
        ),
        "repost": ("repostPost", "unrepostPost"),
        "delete": ("deletePosts",),
        "hide": ("hidePostsReply",),
        "bookmark": ("createUsersBookmark", "deleteUsersBookmark"),
        "list": (
            "createLists",
            "updateLists",
            "deleteLists",
            "addListsMember",
            "removeListsMemberByUserId",
        ),
        "mute": ("muteUser", "unmuteUser"),
    }
)
"""What each word of a bot's `may` calls. There is none for likes and follows: X forbids automated
ones, and the account would be suspended."""

WITHOUT_ACTION = frozenset({"media", "repost", "delete", "hide", "bookmark", "list", "mute"})
"""The words that `Actions` offers nothing for yet: no bot is authorized for what it cannot do."""

NO_SUCH_WORD = "there is no such word, and X has no such operation."
_HAS_ACTION = "act.post, act.reply and act.message do that, with X's rules checked"
_FORBIDDEN = "X forbids automated likes and follows"
_NEVER_CALLED: Mapping[str, str] = MappingProxyType(
    {
        "createPosts": _HAS_ACTION,
        "createDirectMessagesByParticipantId": _HAS_ACTION,
        "createDirectMessagesByConversationId": _HAS_ACTION,
        "createDirectMessagesConversation": "X forbids unsolicited messages",
        "likePost": _FORBIDDEN,
        "unlikePost": _FORBIDDEN,
        "followUser": _FORBIDDEN,
        "unfollowUser": _FORBIDDEN,
    }
)
"""The operations that `call` refuses, and why. Source: X developer guidelines, 2026-08-22."""

_SCOPES_IN_ORDER = (
    "tweet.read",
    "tweet.write",
    "tweet.moderate.write",
    "users.read",
    "users.email",
    "follows.read",
    "follows.write",
    "offline.access",
    "space.read",
    "mute.read",
    "mute.write",
    "like.read",
    "like.write",
    "list.read",
    "list.write",
    "block.read",
    "block.write",
    "bookmark.read",
    "bookmark.write",
    "dm.read",
    "dm.write",
    "media.write",
    "timeline.read",
    "broadcast.read",
    "broadcast.write",
)
"""X's own order, so that two lists of scopes can be compared by eye."""

_RANK = MappingProxyType({scope: rank for rank, scope in enumerate(_SCOPES_IN_ORDER)})

_OFFLINE = "offline.access"
"""Without it there is no refresh token, and the login ends after two hours."""

_PREFERRED = (CredentialKind.OAUTH2, CredentialKind.OAUTH1, CredentialKind.APP_ONLY)

_LEVEL_PROBLEM = "oauth1-permissions"

_LEVELS = MappingProxyType(
    {
        "read": 0,
        "read-write": 1,
        "read-write-directmessages": 2,
        "read-write-privatemessages": 2,
    }
)
_LEVEL_NAMES = ("read", "read-write", "read-write-directmessages")
_CONSOLE_LEVELS = ("Read", "Read and write", "Read, write, and Direct Messages")


def operations_for(may: Iterable[str]) -> tuple[str, ...]:
    """Return the operation ids that these words of `may` call; an id stands for itself.

    Raises:
        KeyError: A word is neither one of `CAPABILITIES` nor an operation of X.
    """
    return tuple(dict.fromkeys(found for word in may for found in _operations_of(word)))


def call_fault(word: str) -> str:
    """Return why `call` must not use a word of `may` as an operation, "" if it may."""
    try:
        called = operation(word)
    except KeyError:
        return NO_SUCH_WORD
    if called.streaming or CredentialKind.OAUTH2 not in called.kinds:
        return "no account can call that operation."
    refused = _NEVER_CALLED.get(word, "")
    return f"{refused}." if refused else ""


def _operations_of(word: str) -> tuple[str, ...]:
    return CAPABILITIES[word] if word in CAPABILITIES else (operation(word).id,)


def scopes_for(
    may: Iterable[str], *, source_operations: Iterable[str] = (), extra: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the fewest scopes with which the bot can act by its `may` and receive its events.

    `extra` are scopes that no operation names: those of activity events. The scopes are in X's
    order, and always include those for `users/me`, for reading posts and for a refresh token.

    Raises:
        KeyError: A word that is none of `CAPABILITIES`, or an operation that X does not have.
    """
    wanted = {_OFFLINE, *extra}
    for operation_id in (*ALWAYS, *operations_for(may), *source_operations):
        wanted.update(operation(operation_id).scopes)
    return tuple(sorted(wanted, key=lambda scope: (_RANK.get(scope, len(_RANK)), scope)))


def choose_credential(
    operation_id: str,
    holdings: Mapping[CredentialKind, tuple[str, ...]],
    *,
    resting: Container[CredentialKind] = (),
) -> CredentialKind:
    """Return the credential for an operation: OAuth 2.0 before OAuth 1.0a before the bearer.

    `holdings` maps each held kind to the granted scopes (OAuth 2.0), to `(level,)` as X sent it in
    `x-access-level` (OAuth 1.0a; `()` and unknown levels pass), or to `()` (bearer). A credential
    that does not suffice is passed over if another one does. One of `resting`, which cannot be
    used now, is passed over for another one of the account; the app's bearer never replaces it.

    Raises:
        MissingScope: The OAuth 2.0 grant lacks a scope, and no other credential suffices.
        LevelTooLow: The OAuth 1.0a level is too low, and no other credential suffices.
        WrongCredential: No credential of a kind that the operation takes is held.
        KeyError: X has no such operation.
    """
    needed = operation(operation_id)
    refusals: list[AccessDenied] = []
    reaches: list[CredentialKind] = []
    for kind in _PREFERRED:
        if kind not in holdings or (needed.kinds and kind not in needed.kinds):
            continue
        refusal = _refusal(needed, kind, holdings[kind])
        if refusal is not None:
            refusals.append(refusal)
        elif kind in resting or (reaches and kind is CredentialKind.APP_ONLY):
            reaches.append(kind)
        else:
            return kind
    if reaches:
        return reaches[0]
    raise refusals[0] if refusals else _wrong_credential(needed, holdings)


def kind_of(denied: AccessDenied) -> CredentialKind | None:
    """Return the kind of credential that a refusal is about; None if no fitting kind is held."""
    if isinstance(denied, MissingScope):
        return CredentialKind.OAUTH2
    return CredentialKind.OAUTH1 if isinstance(denied, LevelTooLow) else None


def dated(denied: AccessDenied, *, granted_at: datetime, command: str) -> AccessDenied:
    """Return the refusal with the time of the grant and the command that renews it."""
    told = type(denied)(
        f"{denied.message} It was authorized on {rfc3339(granted_at)}.",
        operation=denied.operation,
        have=denied.have,
        need=denied.need,
        cure=denied.cure.replace("`botkit setup`", f"`{command}`"),
    )
    told.granted_at = granted_at
    return told


def named(denied: AccessDenied, username: str) -> AccessDenied:
    """Return a refusal that is about no login, with the command for this account."""
    return type(denied)(
        denied.message,
        operation=denied.operation,
        have=denied.have,
        need=denied.need,
        cure=denied.cure.replace("`botkit setup`", f"`botkit setup --account {username}`"),
    )


def is_level_refusal(problem_type: str, codes: Iterable[int]) -> bool:
    """Return True if X's 403 says that the OAuth 1.0a access level is too low.

    Source: X API docs, "App permissions"; docs/explanation/x-facts.md, 5.9 and 10.8.
    """
    from botkit.protocol.refusals.table import codes_of

    of_level = codes_of("level-too-low", "level-without-messages")
    return problem_type == _LEVEL_PROBLEM or not of_level.isdisjoint(codes)


def is_known_level(level: str) -> bool:
    """Return True if `level` is a documented value of `x-access-level`."""
    return level in _LEVELS


def level_hint(granted_at: datetime, command: str) -> str:
    """Return the cure for such a refusal: a token keeps the level that it was made with."""
    return (
        f"The token was authorized on {rfc3339(granted_at)} and keeps the permissions"
        " that the app had then, whatever X's console says now. Raise them there if that is not"
        f" done, then authorize again: `{command}`."
    )


def level_needed(needed: Operation) -> str:
    """Return the least OAuth 1.0a level for an operation, as `x-access-level` spells it.

    Source: X API docs, "App permissions": direct messages need the third level, even to read.
    """
    if any(scope.startswith("dm.") for scope in needed.scopes):
        return _LEVEL_NAMES[2]
    writes = any(scope.endswith(".write") for scope in needed.scopes)
    return _LEVEL_NAMES[1 if writes else 0]


def _refusal(
    needed: Operation, kind: CredentialKind, held: tuple[str, ...]
) -> AccessDenied | None:
    if kind is CredentialKind.OAUTH2:
        return _missing_scope(needed, held)
    if kind is CredentialKind.OAUTH1:
        return _level_too_low(needed, held)
    return None


def _missing_scope(needed: Operation, granted: tuple[str, ...]) -> MissingScope | None:
    missing = [scope for scope in needed.scopes if scope not in granted]
    if not missing:
        return None
    return MissingScope(
        f"{needed.id} ({needed.name}) needs the scope {' '.join(missing)},"
        f" the login has {' '.join(granted) or 'none'}.",
        operation=needed.id,
        have=granted,
        need=needed.scopes,
        cure="Say in the bot's `may` what it does, then run `botkit setup` and authorize again.",
    )


def _level_too_low(needed: Operation, held: tuple[str, ...]) -> LevelTooLow | None:
    level = held[0].strip().lower() if held else ""
    least = level_needed(needed)
    if _LEVELS.get(level, len(_LEVELS)) >= _LEVELS[least]:
        return None
    return LevelTooLow(
        operation=needed.id,
        have=(level,),
        need=(least,),
        cure=f"Set the app's permissions to \"{_CONSOLE_LEVELS[_LEVELS[least]]}\" in X's console,"
        " then run `botkit setup` again: tokens keep the level they were made with.",
    )


def _wrong_credential(
    needed: Operation, holdings: Mapping[CredentialKind, tuple[str, ...]]
) -> WrongCredential:
    if CredentialKind.APP_ONLY in needed.kinds:
        cure = "Set bearer_token, or api_key and api_secret, of the app in the settings."
    else:
        cure = "Run `botkit setup` and authorize the account."
    return WrongCredential(
        operation=needed.id,
        have=tuple(str(kind) for kind in _PREFERRED if kind in holdings),
        need=tuple(str(kind) for kind in needed.kinds),
        cure=cure,
    )
