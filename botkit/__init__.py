"""botkit: the asyncio framework for automated accounts on X.

What a bot needs stands here, and is imported when it is first asked for: `import botkit` costs
next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # checkers take it for True; importing typing would cost as much as all else
if TYPE_CHECKING:
    from botkit.bot.definition import Bot
    from botkit.bot.running import RunningBot
    from botkit.config import Settings, load_settings
    from botkit.errors import (
        AccessDenied,
        BotkitError,
        Drop,
        PolicyError,
        ResponseError,
        Retry,
        Skip,
        WiringError,
        XError,
    )
    from botkit.filters import Match
    from botkit.model.activity_events import (
        Block,
        BroadcastChat,
        BroadcastEnd,
        BroadcastStart,
        ChatChange,
        EncryptedMessage,
        Follow,
        Like,
        MessageRead,
        MessageTyping,
        Mute,
        News,
        PostDelete,
        ProfileUpdate,
        SpaceEnd,
        SpaceStart,
        Unblock,
        Unfollow,
        Unmute,
    )
    from botkit.model.events import (
        AccountState,
        Authorized,
        DirectMessage,
        Event,
        Gap,
        GrantRevoked,
        Mention,
        OptOut,
        PostEvent,
        PostMatched,
        PostSeen,
        Quote,
        Reply,
        Repost,
        Signal,
        Tick,
        UnknownEvent,
    )
    from botkit.model.failures import Failure
    from botkit.model.messages import Message
    from botkit.model.posts import Post
    from botkit.model.records import StatusReport
    from botkit.model.sources import HomeTimeline, ListPosts, OwnPosts, Search
    from botkit.model.triggers import Trigger
    from botkit.model.users import Account, User
    from botkit.ports.api import Actions, Reader
    from botkit.ports.io import Clock
    from botkit.protocol.rules.opt_outs import START_WORDS, STOP_WORDS, OptOutRules
    from botkit.routing.middleware import CallNext
    from botkit.routing.router import Router
    from botkit.routing.state import BotState, Conversation, UserState

__version__ = "0.1.0"

__all__ = [
    "START_WORDS",
    "STOP_WORDS",
    "AccessDenied",
    "Account",
    "AccountState",
    "Actions",
    "Authorized",
    "Block",
    "Bot",
    "BotState",
    "BotkitError",
    "BroadcastChat",
    "BroadcastEnd",
    "BroadcastStart",
    "CallNext",
    "ChatChange",
    "Clock",
    "Conversation",
    "DirectMessage",
    "Drop",
    "EncryptedMessage",
    "Event",
    "Failure",
    "Follow",
    "Gap",
    "GrantRevoked",
    "HomeTimeline",
    "Like",
    "ListPosts",
    "Match",
    "Mention",
    "Message",
    "MessageRead",
    "MessageTyping",
    "Mute",
    "News",
    "OptOut",
    "OptOutRules",
    "OwnPosts",
    "PolicyError",
    "Post",
    "PostDelete",
    "PostEvent",
    "PostMatched",
    "PostSeen",
    "ProfileUpdate",
    "Quote",
    "Reader",
    "Reply",
    "Repost",
    "ResponseError",
    "Retry",
    "Router",
    "RunningBot",
    "Search",
    "Settings",
    "Signal",
    "Skip",
    "SpaceEnd",
    "SpaceStart",
    "StatusReport",
    "Tick",
    "Trigger",
    "Unblock",
    "Unfollow",
    "UnknownEvent",
    "Unmute",
    "User",
    "UserState",
    "WiringError",
    "XError",
    "__version__",
    "load_settings",
]

_ACTIVITY = "botkit.model.activity_events"
_EVENTS = "botkit.model.events"
_ERRORS = "botkit.errors"
_OPT_OUTS = "botkit.protocol.rules.opt_outs"
_SOURCES = "botkit.model.sources"
_STATE = "botkit.routing.state"
_WHERE = {
    "AccessDenied": _ERRORS,
    "Account": "botkit.model.users",
    "AccountState": _EVENTS,
    "Actions": "botkit.ports.api",
    "Authorized": _EVENTS,
    "Block": _ACTIVITY,
    "Bot": "botkit.bot.definition",
    "BotState": _STATE,
    "BotkitError": _ERRORS,
    "BroadcastChat": _ACTIVITY,
    "BroadcastEnd": _ACTIVITY,
    "BroadcastStart": _ACTIVITY,
    "CallNext": "botkit.routing.middleware",
    "ChatChange": _ACTIVITY,
    "Clock": "botkit.ports.io",
    "Conversation": _STATE,
    "DirectMessage": _EVENTS,
    "Drop": _ERRORS,
    "EncryptedMessage": _ACTIVITY,
    "Event": _EVENTS,
    "Failure": "botkit.model.failures",
    "Follow": _ACTIVITY,
    "Gap": _EVENTS,
    "GrantRevoked": _EVENTS,
    "HomeTimeline": _SOURCES,
    "Like": _ACTIVITY,
    "ListPosts": _SOURCES,
    "Match": "botkit.filters",
    "Mention": _EVENTS,
    "Message": "botkit.model.messages",
    "MessageRead": _ACTIVITY,
    "MessageTyping": _ACTIVITY,
    "Mute": _ACTIVITY,
    "News": _ACTIVITY,
    "OptOut": _EVENTS,
    "OptOutRules": _OPT_OUTS,
    "OwnPosts": _SOURCES,
    "PolicyError": _ERRORS,
    "Post": "botkit.model.posts",
    "PostDelete": _ACTIVITY,
    "PostEvent": _EVENTS,
    "PostMatched": _EVENTS,
    "PostSeen": _EVENTS,
    "ProfileUpdate": _ACTIVITY,
    "Quote": _EVENTS,
    "Reader": "botkit.ports.api",
    "Reply": _EVENTS,
    "Repost": _EVENTS,
    "ResponseError": _ERRORS,
    "Retry": _ERRORS,
    "Router": "botkit.routing.router",
    "RunningBot": "botkit.bot.running",
    "START_WORDS": _OPT_OUTS,
    "STOP_WORDS": _OPT_OUTS,
    "Search": _SOURCES,
    "Settings": "botkit.config",
    "Signal": _EVENTS,
    "Skip": _ERRORS,
    "SpaceEnd": _ACTIVITY,
    "SpaceStart": _ACTIVITY,
    "StatusReport": "botkit.model.records",
    "Tick": _EVENTS,
    "Trigger": "botkit.model.triggers",
    "Unblock": _ACTIVITY,
    "Unfollow": _ACTIVITY,
    "UnknownEvent": _EVENTS,
    "Unmute": _ACTIVITY,
    "User": "botkit.model.users",
    "UserState": _STATE,
    "WiringError": _ERRORS,
    "XError": _ERRORS,
    "load_settings": "botkit.config",
}


if not TYPE_CHECKING:  # or checkers would take any name for one of ours

    def __getattr__(name: str) -> object:
        from importlib import import_module

        module = _WHERE.get(name)
        if module is None:
            raise AttributeError(f"module 'botkit' has no attribute {name!r}")
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
