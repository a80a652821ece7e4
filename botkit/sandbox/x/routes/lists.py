"""Lists: their members, followers and posts, and who owns, follows and pinned them.

Source: X API docs, "Lists"; X's OpenAPI document; recorded answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.wire.timeline_pages import part_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, list_json, user_json
from botkit.sandbox.x.routes.engagement import acting_user, users_page
from botkit.sandbox.x.routes.timelines import dated_page, user_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.sandbox.world.lists import ListRecord

__all__ = ["ROUTES"]

_Name = Annotated[str, Meta(min_length=1, max_length=25)]
_Description = Annotated[str, Meta(max_length=100)]
_REACH = 800


class _NewList(Struct, frozen=True, forbid_unknown_fields=True):
    name: _Name
    description: _Description = ""
    private: bool = False


class _Change(Struct, frozen=True, forbid_unknown_fields=True):
    name: _Name | UnsetType = UNSET
    description: _Description | UnsetType = UNSET
    private: bool | UnsetType = UNSET


class _Member(Struct, frozen=True, forbid_unknown_fields=True):
    user_id: Id


class _Chosen(Struct, frozen=True, forbid_unknown_fields=True):
    list_id: Id


def _create(request: RequestContext) -> Answer:
    user, body = request.caller.user, body_of(request.call, _NewList)
    if user is None:
        raise problems.unauthorized()
    made = request.world.lists.add(
        user.id, body.name, description=body.description, private=body.private
    )
    return Answer.json(201, {"data": {"id": made.id, "name": made.name}})


def _visible(request: RequestContext, list_id: str, *, parameter: str = "id") -> ListRecord:
    """Return a list that the caller may see; answer that there is none otherwise."""
    found = request.world.lists.get(list_id)
    if found is None or not _may_see(request, found):
        problem = problems.missing("list", list_id, parameter=parameter)
        raise Refused(Answer.json(200, {"errors": [problem]}))
    return found


def _may_see(request: RequestContext, one: ListRecord) -> bool:
    user = request.caller.user
    return not one.private or (user is not None and user.id == one.owner_id)


def _owned(request: RequestContext) -> ListRecord:
    found = _visible(request, request.path["id"])
    if request.caller.user is None or request.caller.user.id != found.owner_id:
        raise problems.forbidden("You are not allowed to change this List.")  # assumed
    return found


def _get(request: RequestContext) -> Answer:
    return _lists(request, [_visible(request, request.path["id"])], single=True)


def _update(request: RequestContext) -> Answer:
    found, body = _owned(request), body_of(request.call, _Change)
    for name in ("name", "description", "private"):
        value = getattr(body, name)
        if value is not UNSET:
            setattr(found, name, value)
    return Answer.json(200, {"data": {"updated": True}})


def _delete(request: RequestContext) -> Answer:
    request.world.lists.remove(_owned(request).id)
    return Answer.json(200, {"data": {"deleted": True}})


def _add_member(request: RequestContext) -> Answer:
    found, user_id = _owned(request), body_of(request.call, _Member).user_id
    if user_id not in request.world.users:
        raise problems.forbidden("You aren't allowed to add members to this list.")  # assumed
    found.members[user_id] = None
    return Answer.json(200, {"data": {"is_member": True}})


def _remove_member(request: RequestContext) -> Answer:
    _owned(request).members.pop(request.path["user_id"], None)
    return Answer.json(200, {"data": {"is_member": False}})


def _members(request: RequestContext) -> Answer:
    return users_page(request, _visible(request, request.path["id"]).members)


def _followers(request: RequestContext) -> Answer:
    return users_page(request, _visible(request, request.path["id"]).followers)


def _posts(request: RequestContext) -> Answer:
    found = _visible(request, request.path["id"])
    posts = [post for post in request.world.shown_posts() if post.author_id in found.members]
    return dated_page(request, posts[-_REACH:], default=100)


def _follow(request: RequestContext) -> Answer:
    return _mark(request, "followers", "following")


def _pin(request: RequestContext) -> Answer:
    return _mark(request, "pinned_by", "pinned")


def _mark(request: RequestContext, where: str, said: str) -> Answer:
    """Note that the user in the path follows a list, or pinned it."""
    user = acting_user(request)
    chosen = body_of(request.call, _Chosen).list_id
    getattr(_visible(request, chosen, parameter="list_id"), where)[user.id] = None
    return Answer.json(200, {"data": {said: True}})


def _unfollow(request: RequestContext) -> Answer:
    return _unmark(request, "followers", "following")


def _unpin(request: RequestContext) -> Answer:
    return _unmark(request, "pinned_by", "pinned")


def _unmark(request: RequestContext, where: str, said: str) -> Answer:
    user = acting_user(request)
    found = request.world.lists.get(request.path["list_id"])
    if found is not None:
        getattr(found, where).pop(user.id, None)
    return Answer.json(200, {"data": {said: False}})


def _of_user(belongs: Callable[[ListRecord, str], bool]) -> Callable[[RequestContext], Answer]:
    """Return the route of the lists that belong to the user in the path in some way."""

    def run(request: RequestContext) -> Answer:
        user_id = user_of(request)
        return _lists(
            request,
            [
                one
                for one in request.world.lists.all()
                if belongs(one, user_id) and _may_see(request, one)
            ],
        )

    return run


def _lists(request: RequestContext, found: list[ListRecord], *, single: bool = False) -> Answer:
    wanted = Wanted(request.call)
    page, meta = part_of(found, request.call, default=100)
    fields = wanted.list_fields | ({"owner_id"} & wanted.expansions)
    data = [list_json(one, fields) for one in page]
    body: dict[str, Any] = {"data": data[0] if single else data} if data else {}
    if data and "owner_id" in wanted.expansions:
        owners = dict.fromkeys(one.owner_id for one in page)
        users = [
            user_json(request.world, request.world.users[one], wanted.user_fields)
            for one in owners
        ]
        body["includes"] = {"users": users}
    return Answer.json(200, body if single else body | {"meta": meta})


_ONE = "/2/lists/{id}"
_USER = "/2/users/{id}"
_IN_LIST = _of_user(lambda one, user_id: user_id in one.members)
_FOLLOWED = _of_user(lambda one, user_id: user_id in one.followers)
_PINNED = _of_user(lambda one, user_id: user_id in one.pinned_by)
_OWNED = _of_user(lambda one, user_id: user_id == one.owner_id)
ROUTES = (
    ApiRoute("POST", "/2/lists", _create, "createLists"),
    ApiRoute("GET", _ONE, _get, "getListsById"),
    ApiRoute("PUT", _ONE, _update, "updateLists"),
    ApiRoute("DELETE", _ONE, _delete, "deleteLists"),
    ApiRoute("GET", f"{_ONE}/members", _members, "getListsMembers"),
    ApiRoute("POST", f"{_ONE}/members", _add_member, "addListsMember"),
    ApiRoute("DELETE", f"{_ONE}/members/{{user_id}}", _remove_member, "removeListsMemberByUserId"),
    ApiRoute("GET", f"{_ONE}/followers", _followers, "getListsFollowers"),
    ApiRoute("GET", f"{_ONE}/tweets", _posts, "getListsPosts"),
    ApiRoute("GET", f"{_USER}/owned_lists", _OWNED, "getUsersOwnedLists"),
    ApiRoute("GET", f"{_USER}/list_memberships", _IN_LIST, "getUsersListMemberships"),
    ApiRoute("GET", f"{_USER}/followed_lists", _FOLLOWED, "getUsersFollowedLists"),
    ApiRoute("POST", f"{_USER}/followed_lists", _follow, "followList"),
    ApiRoute("DELETE", f"{_USER}/followed_lists/{{list_id}}", _unfollow, "unfollowList"),
    ApiRoute("GET", f"{_USER}/pinned_lists", _PINNED, "getUsersPinnedLists"),
    ApiRoute("POST", f"{_USER}/pinned_lists", _pin, "pinList"),
    ApiRoute("DELETE", f"{_USER}/pinned_lists/{{list_id}}", _unpin, "unpinList"),
)
