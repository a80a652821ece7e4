"""Calls of X's operations by their ids."""

from __future__ import annotations

import pytest

from botkit.protocol.api.raw_calls import raw_call


def test_any_operation_is_called_by_its_id() -> None:
    call = raw_call(
        "createUsersBookmark", path={"id": "1/2"}, query={"a": True, "b": [1, 2]}, json={"x": 1}
    )
    assert call.name == "POST /2/users/1%2F2/bookmarks"
    assert call.query == (("a", "true"), ("b", "1,2"))
    assert call.json == b'{"x":1}'
    assert raw_call("getUsersMe", query={"max_results": 5}).query == (("max_results", "5"),)


@pytest.mark.parametrize("path", [{}, {"user": "1"}, {"id": "1", "more": "2"}])
def test_the_parameters_of_its_path_are_named(path: dict[str, str]) -> None:
    with pytest.raises(TypeError, match=r"is POST /2/users/{id}/bookmarks: path has id, not "):
        raw_call("createUsersBookmark", path=path)
    with pytest.raises(TypeError, match="path has nothing, not id"):
        raw_call("getUsersMe", path={"id": "1"})


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_what_would_be_another_path_is_no_id(value: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        raw_call("createUsersBookmark", path={"id": value})
