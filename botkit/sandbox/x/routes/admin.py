"""The sandbox's own small API under `/sandbox/`: it lets another process play the users.

    POST /sandbox/users    {"username", "name"?, "automated"?}     -> the user
    POST /sandbox/apps     {"name"?, "client_id"?, "client_secret"?, "api_key"?, "api_secret"?,
                            "redirect_uris"?, "owner"?, "level"?, "takes_pin"?}
                                                                   -> the app with its secrets
    POST /sandbox/login    {"as"}          who is logged in on the consent page
    POST /sandbox/grants   {"as", "client_id", "scopes"}           -> tokens, without a page
    POST /sandbox/pairs    {"as", "client_id", "level"?}           -> an OAuth 1.0a access token
    POST /sandbox/posts    {"as", "text", "reply_to"?, "quote"?}   -> the post
    POST /sandbox/messages {"as", "to", "text"}                    -> the message
    POST /sandbox/delete   {"id"}          the author deletes a post
    POST /sandbox/revoke   {"as"}          the user revokes all grants
    POST /sandbox/faults   {"kind", ...}   a method of `Faults` with its options
    GET  /sandbox/posts?by=NAME&to=NAME&limit=N   posts, oldest first
    GET  /sandbox/messages?of=NAME                direct messages, oldest first
    GET  /sandbox/state                           counts, spending, the token endpoint's log

It has no password, because it is for a sandbox on this machine. Pages of other sites in the
browser cannot reach it: see `browser_guard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, as_object
from botkit.sandbox.world.world import UnknownThingError
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import timestamp
from botkit.sandbox.x.routes.signin.consent_pages import SESSION_COOKIE

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.sandbox.world.world import MessageRecord, PostRecord, UserRecord

__all__ = ["ROUTES"]


def _admin(
    act: Callable[[RequestContext, dict[str, Any]], Any],
) -> Callable[[RequestContext], Answer]:
    """Return a route that passes on the body's JSON object and answers faults with their cause."""

    def run(request: RequestContext) -> Answer:
        body: dict[str, Any] | None = {}
        if request.call.method == "POST":
            body = as_object(request.call.body)
            if request.call.media_type != "application/json" or body is None:
                raise problems.invalid_request("send a JSON object as application/json")
        try:
            return Answer.json(200, act(request, body or {}))
        except (UnknownThingError, ValueError, TypeError) as wrong:
            raise problems.invalid_request(str(wrong)) from wrong
        except KeyError as missing:
            raise problems.invalid_request(f"missing: {missing.args[0]}") from missing

    return run


def _add_user(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    username = str(body["username"])
    if request.world.logged_in is None:
        request.world.logged_in = username
    user = request.world.add_user(
        username, name=body.get("name"), automated=bool(body.get("automated", False))
    )
    return _user(user)


def _add_app(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    known = ("client_id", "client_secret", "api_key", "api_secret", "redirect_uris")
    options = {name: body[name] for name in known if name in body}
    app = request.world.grants.add_app(str(body.get("name", "botkit sandbox")), **options)
    app.level = str(body.get("level", app.level))
    app.takes_pin = bool(body.get("takes_pin", app.takes_pin))
    app.enterprise = bool(body.get("enterprise", app.enterprise))
    if body.get("owner"):
        app.owner_id = request.world.user(str(body["owner"])).id
    return {
        "id": app.id,
        "name": app.name,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "api_key": app.api_key,
        "api_secret": app.api_secret,
        "bearer_token": app.bearer,
        "redirect_uris": app.redirect_uris,
    }


def _log_in(request: RequestContext) -> Answer:
    body = as_object(request.call.body) or {}
    user = request.world.find_user(str(body.get("as")))
    if user is None:
        raise problems.invalid_request("there is no such user")
    request.world.logged_in = user.username
    answer = Answer.json(200, _user(user))
    cookie = f"{SESSION_COOKIE}={user.username}; Path=/; HttpOnly; SameSite=Lax"
    answer.headers["set-cookie"] = cookie
    return answer


def _grant(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    app = request.world.grants.apps.get(str(body["client_id"]))
    if app is None:
        raise UnknownThingError("there is no app with this client_id")
    scopes = body["scopes"].split() if isinstance(body["scopes"], str) else body["scopes"]
    grant = request.world.grants.grant(app, request.world.user(str(body["as"])).id, scopes)
    return {
        "access_token": request.world.grants.newest_access(grant),
        "refresh_token": grant.refresh,
        "scope": " ".join(grant.scopes),
        "expires_in": int(request.world.rules.access_ttl_s),
    }


def _pair(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    app = request.world.grants.apps.get(str(body["client_id"]))
    if app is None:
        raise UnknownThingError("there is no app with this client_id")
    user = request.world.user(str(body["as"]))
    pair = request.world.oauth1_tokens.issue(app, user.id, level=str(body.get("level", "")))
    return {"oauth_token": pair.token, "oauth_token_secret": pair.secret, "level": pair.level}


def _add_post(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    author = request.world.user(str(body["as"]))
    post = request.world.add_post(
        author.id,
        str(body["text"]),
        reply_to=body.get("reply_to"),
        quoting=body.get("quote"),
        lang=str(body.get("lang", "en")),
        media=body.get("media", ()),
    )
    return _post(request, post)


def _repost(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    user = request.world.user(str(body["as"]))
    return _post(request, request.world.repost(user.id, str(body["post"])))


def _like(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    on = bool(body.get("on", True))
    request.world.like(request.world.user(str(body["as"])).id, str(body["post"]), on=on)
    return {"liked": on}


def _follow(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    follower, followed = (request.world.user(str(body[name])) for name in ("as", "user"))
    on = bool(body.get("on", True))
    request.world.follow(follower.id, followed.id, on=on)
    return {"following": on}


def _add_list(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    owner = request.world.user(str(body["as"]))
    members = [request.world.user(str(name)).id for name in body.get("members", ())]
    private = bool(body.get("private", False))
    made = request.world.lists.add(owner.id, str(body["name"]), private=private)
    made.members |= dict.fromkeys(members)
    return {"id": made.id, "name": made.name}


def _add_message(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    sender, other = request.world.user(str(body["as"])), request.world.user(str(body["to"]))
    return _message(request, request.world.add_message(sender.id, other.id, str(body["text"])))


def _delete(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    request.world.delete_post(str(body["id"]))
    return {"deleted": True}


def _revoke(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    request.world.revoke(request.world.user(str(body["as"])).id)
    return {"revoked": True}


def _plan(request: RequestContext, body: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in body.items() if name != "kind"}
    request.faults.plan(str(body["kind"]), options)
    return {"planned": body["kind"]}


def _posts(request: RequestContext, _: dict[str, Any]) -> dict[str, Any]:
    world, by, to = request.world, request.call.param("by"), request.call.param("to")
    posts = [post for post in world.posts.values() if not post.deleted]
    if by:
        posts = world.posts_by(world.user(by).id)
    if to:
        wanted = world.user(to).id
        posts = [post for post in posts if post.reply_to_user_id == wanted]
    limit = int(request.call.param("limit") or 1000)
    return {"posts": [_post(request, post) for post in posts[-limit:]]}


def _messages(request: RequestContext, _: dict[str, Any]) -> dict[str, Any]:
    of = request.call.param("of")
    messages = list(request.world.messages.values())
    if of:
        messages = request.world.messages_of(request.world.user(of).id)
    return {"messages": [_message(request, message) for message in messages]}


def _state(request: RequestContext, _: dict[str, Any]) -> dict[str, Any]:
    world, activity = request.world, request.activity
    return {
        "now": timestamp(world.clock.now()),
        "logged_in": world.logged_in,
        "users": [_user(user) for user in world.users.values()],
        "posts": sum(not post.deleted for post in world.posts.values()),
        "messages": len(world.messages),
        "spent_usd": {app.client_id: str(app.spent_usd) for app in world.grants.apps.values()},
        "subscriptions": [one.to_wire() for one in activity.subscriptions.values()],
        "webhooks": [
            {"id": each.id, "url": each.url, "valid": each.valid}
            for app in world.grants.apps.values()
            for each in world.webhooks.of_app(app.id)
        ],
        "deliveries": dict(request.deliveries.counts),
        "open_streams": {
            app.client_id: activity.open_streams(app.id) for app in world.grants.apps.values()
        },
        "token_log": [
            {
                "at": timestamp(use.at),
                "grant_type": use.grant_type,
                "outcome": use.outcome,
                "token_hash": use.token_hash,
            }
            for use in world.grants.log
        ],
    }


def _user(user: UserRecord) -> dict[str, Any]:
    return {"id": user.id, "username": user.username, "name": user.name}


def _post(request: RequestContext, post: PostRecord) -> dict[str, Any]:
    return {
        "id": post.id,
        "by": request.world.users[post.author_id].username,
        "text": post.written,
        "full_text": post.text,
        "reply_to": post.reply_to_id,
        "quote": post.quoted_id,
        "repost": post.reposted_id,
        "conversation_id": post.conversation_id,
        "created_at": timestamp(post.created_at),
    }


def _message(request: RequestContext, message: MessageRecord) -> dict[str, Any]:
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "by": request.world.users[message.sender_id].username,
        "to": request.world.users[message.recipient_id].username,
        "text": message.text,
        "created_at": timestamp(message.created_at),
    }


ROUTES = (
    ApiRoute("POST", "/sandbox/users", _admin(_add_user)),
    ApiRoute("POST", "/sandbox/apps", _admin(_add_app)),
    ApiRoute("POST", "/sandbox/login", _log_in),
    ApiRoute("POST", "/sandbox/grants", _admin(_grant)),
    ApiRoute("POST", "/sandbox/pairs", _admin(_pair)),
    ApiRoute("POST", "/sandbox/posts", _admin(_add_post)),
    ApiRoute("GET", "/sandbox/posts", _admin(_posts)),
    ApiRoute("POST", "/sandbox/reposts", _admin(_repost)),
    ApiRoute("POST", "/sandbox/likes", _admin(_like)),
    ApiRoute("POST", "/sandbox/follows", _admin(_follow)),
    ApiRoute("POST", "/sandbox/lists", _admin(_add_list)),
    ApiRoute("POST", "/sandbox/messages", _admin(_add_message)),
    ApiRoute("GET", "/sandbox/messages", _admin(_messages)),
    ApiRoute("POST", "/sandbox/delete", _admin(_delete)),
    ApiRoute("POST", "/sandbox/revoke", _admin(_revoke)),
    ApiRoute("POST", "/sandbox/faults", _admin(_plan)),
    ApiRoute("GET", "/sandbox/state", _admin(_state)),
)
