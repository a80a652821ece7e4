"""Decode the three characters that X escapes in the texts it sends: `&lt;`, `&gt;` and `&amp;`.

X counts the positions of entities in the escaped text, so they move with it. A text that is sent
to X is not escaped.

Source: Twitter4J issue 349 (`display_text_range` counts escapes) and pull request 263 (so do
entities); for direct messages the practice of the same client.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from botkit.model.posts import MentionEntity, Post

__all__ = ["decoded_post", "decoded_text"]

_ESCAPED = re.compile("&(lt|gt|amp);")
_PLAIN = {"lt": "<", "gt": ">", "amp": "&"}


def decoded_text(text: str) -> str:
    """Return the text with each escape decoded, once."""
    if "&" not in text:
        return text
    return _ESCAPED.sub(lambda found: _PLAIN[found[1]], text)


def decoded_post(post: Post) -> Post:
    """Return the post with its text decoded, and its positions moved with the text."""
    text = post.text
    if "&" not in text:
        return post
    ends = [found.end() for found in _ESCAPED.finditer(text)]
    if not ends:
        return post
    saved = [0]
    for found in _ESCAPED.finditer(text):
        saved.append(saved[-1] + len(found[0]) - 1)

    def moved(position: int) -> int:
        return position - saved[bisect_right(ends, position)]

    def moved_name(name: MentionEntity) -> MentionEntity:
        return replace(name, start=moved(name.start), end=moved(name.end))

    span = post.display_text_range
    return replace(
        post,
        text=decoded_text(text),
        mentions=tuple(map(moved_name, post.mentions)),
        link_spans=tuple((moved(start), moved(end)) for start, end in post.link_spans),
        display_text_range=span and (moved(span[0]), moved(span[1])),
    )
