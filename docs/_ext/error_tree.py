"""Draws the error tree from the classes themselves, each with its first line and its page."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from botkit import errors

if TYPE_CHECKING:
    from typing import Any


def below(parent: type[BaseException]) -> list[type[BaseException]]:
    """The public classes right below one, in the order of the module."""
    public = [getattr(errors, name) for name in errors.__all__]
    found = [kind for kind in public if kind.__bases__[0] is parent]
    return sorted(found, key=lambda kind: inspect.getsourcelines(kind)[1])


class ErrorTree(SphinxDirective):
    """`.. error-tree::` puts the tree there."""

    def run(self) -> list[nodes.Node]:
        """Build it."""
        self.env.note_reread()
        tree = nodes.bullet_list()
        tree += self._item(errors.BotkitError)
        return [tree]

    def _item(self, kind: type[BaseException]) -> nodes.list_item:
        first_line = (inspect.getdoc(kind) or "").partition("\n")[0].replace("`", "")
        line = nodes.paragraph("", "", self._link(kind.__name__), nodes.Text(f": {first_line}"))
        item = nodes.list_item("", line)
        inner = below(kind)
        if inner:
            branch = nodes.bullet_list()
            branch += [self._item(one) for one in inner]
            item += branch
        return item

    def _link(self, name: str) -> nodes.Node:
        target = f"botkit.errors.{name}"
        link = addnodes.pending_xref(
            "", refdomain="py", reftype="exc", reftarget=target, refexplicit=True, refwarn=True
        )
        link["refdoc"] = self.env.docname
        link += nodes.literal(name, name)
        return link


class ErrorClasses(SphinxDirective):
    """`.. error-classes::` describes every class, in the order of the tree."""

    def run(self) -> list[nodes.Node]:
        """Build the descriptions."""
        self.env.note_reread()
        lines: list[str] = []
        for kind in sorted(
            (getattr(errors, name) for name in errors.__all__),
            key=lambda kind: inspect.getsourcelines(kind)[1],
        ):
            lines += [
                f".. autoexception:: botkit.errors.{kind.__name__}",
                "   :show-inheritance:",
                "",
            ]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("error-tree", ErrorTree)
    app.add_directive("error-classes", ErrorClasses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
