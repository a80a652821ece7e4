"""Small changes of a module on purpose: each is one that a test ought to notice."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOUNDARY: dict[type[ast.AST], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
}
_OPPOSITE: dict[type[ast.AST], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_SHOWN: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
_ARITHMETIC: dict[type[ast.AST], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "+",
    ast.BitOr: "&",
    ast.BitAnd: "|",
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|FROM)\b")
_SQL_CHANGES = (
    (re.compile(r"(?<= )AND(?= )"), "OR"),
    (re.compile(r"(?<= )OR(?= (?!(IGNORE|REPLACE|ABORT|FAIL)\b))"), "AND"),
    (re.compile(r"(?<= )<(?= )"), "<="),
    (re.compile(r"(?<= )<=(?= )"), "<"),
    (re.compile(r"(?<= )>(?= )"), ">="),
    (re.compile(r"(?<= )>=(?= )"), ">"),
    (re.compile(r"(?<= )!=(?= )"), "="),
    (re.compile(r"IS NULL"), "IS NOT NULL"),
    (re.compile(r"IS NOT NULL"), "IS NULL"),
    (re.compile(r" DESC\b"), ""),
    (re.compile(r"\bmax\("), "min("),
    (re.compile(r"\bmin\("), "max("),
    (re.compile(r" \+ 1\b"), " + 2"),
    (re.compile(r"\?1\b(?=.*\?2\b)", re.DOTALL), "?2"),
)
_WORD = re.compile(r"[A-Za-z0-9_./:@#%=?&-]+")


@dataclass(frozen=True)
class Change:
    """One change: the text from `start` to `end`, in characters, becomes `new`.

    `lines` are those of the statement that holds it (of a compound one, its head). `where` is
    "function" inside a function's body, "module" in an assignment of a module, else "other".
    """

    kind: str
    line: int
    start: int
    end: int
    old: str
    new: str
    lines: tuple[int, int]
    where: str

    def apply(self, source: str) -> str:
        """Return the source with the change."""
        return source[: self.start] + self.new + source[self.end :]


def changes_of(source: str) -> list[Change]:
    """Return every change that can be made of a module, in the order of its text."""
    found: dict[tuple[int, int, str], Change] = {}
    for one in _Finder(source).found:
        if one.new != one.old:
            found.setdefault((one.start, one.end, one.new), one)
    return [found[key] for key in sorted(found)]


class _Finder(ast.NodeVisitor):
    """Walks through what a module does, and leaves out what it only says."""

    def __init__(self, source: str) -> None:
        self.found: list[Change] = []
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._source = source
        self._functions = 0
        self._classes = 0
        self._statement: ast.stmt | None = None
        tree = ast.parse(source)
        self._ids = _ids_of(tree)
        for statement in tree.body:
            self.visit(statement)

    # --- noting ---

    def visit(self, node: ast.AST) -> None:
        before = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        super().visit(node)
        self._statement = before

    def _span(self, node: ast.expr | ast.stmt | ast.pattern) -> tuple[int, int]:
        start = self._place(node.lineno, node.col_offset)
        return start, self._place(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def _place(self, line: int, column: int) -> int:
        encoded = self._lines[line - 1].encode()[:column]
        return self._starts[line - 1] + len(encoded.decode())

    def _note(self, kind: str, node: ast.expr | ast.stmt | ast.pattern, new: str) -> None:
        self._note_span(kind, node, *self._span(node), new)

    def _note_span(
        self, kind: str, node: ast.expr | ast.stmt | ast.pattern, start: int, end: int, new: str
    ) -> None:
        statement = self._statement or node
        body = getattr(statement, "body", None) or getattr(statement, "cases", None)
        first = getattr(body[0], "lineno", None) or body[0].pattern.lineno if body else 0
        last = max(statement.lineno, first - 1) if body else statement.end_lineno
        if isinstance(node, ast.stmt):
            last = node.end_lineno
        where = "function" if self._functions else "other"
        if where == "other" and not self._classes and isinstance(statement, _ASSIGNMENTS):
            where = "module"
        lines = (statement.lineno, last or statement.lineno)
        old = self._source[start:end]
        self.found.append(Change(kind, node.lineno, start, end, old, new, lines, where))

    def _indented(self, body: list[ast.stmt], column: int) -> str:
        """Return statements as they stand, moved to a column."""
        text = "\n".join(ast.unparse(one) for one in body)
        return f"\n{' ' * column}".join(text.splitlines())

    # --- conditions ---

    def visit_Compare(self, node: ast.Compare) -> None:
        for at, operator in enumerate(node.ops):
            for kind, table in (("boundary", _BOUNDARY), ("negated", _OPPOSITE)):
                if type(operator) in table:
                    self._note(kind, node, _compared(node, at, table[type(operator)]))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        joined, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        values = [f"({ast.unparse(one)})" for one in node.values]
        self._note("and/or", node, f"({f' {other} '.join(values)})")
        for at in range(len(values)):
            rest = values[:at] + values[at + 1 :]
            self._note("half a condition", node, f"({f' {joined} '.join(rest)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        kind = "negated" if isinstance(node.op, ast.Not) else "arithmetic"
        self._note(kind, node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        text = ast.unparse(test)
        if not isinstance(test, ast.Compare):
            self._note("negated", test, f"(not ({text}))")
        self._note("always", test, f"(True or ({text}))")
        self._note("never", test, f"(False and ({text}))")

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._condition(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._note("never", node.test, f"(False and ({ast.unparse(node.test)}))")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._note("always", test, "True")
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self._note("always", node.guard, "True")
        elif not isinstance(node.pattern, ast.MatchAs) or node.pattern.pattern is not None:
            self._note("dropped case", node.pattern, f"{ast.unparse(node.pattern)} if False")
        self.generic_visit(node)

    # --- values ---

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _ARITHMETIC:
            left, right = ast.unparse(node.left), ast.unparse(node.right)
            self._note("arithmetic", node, f"(({left}) {_ARITHMETIC[type(node.op)]} ({right}))")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._note("constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            self._note("constant", node, f"({node.value + 1!r})")
            self._note("constant", node, f"({node.value - 1!r})")
        elif isinstance(node.value, str) and _SQL.search(node.value):
            self._sql(node)
        elif isinstance(node.value, str) and _WORD.fullmatch(node.value):
            self._note("word", node, repr(f"{node.value}x"))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Words decide nothing; nor does Python 3.11 know where their parts stand."""
        self._sql(node)

    def _sql(self, node: ast.expr) -> None:
        start, end = self._span(node)
        text = self._source[start:end]
        if _SQL.search(text):
            for pattern, new in _SQL_CHANGES:
                for match in pattern.finditer(text):
                    self._note_span("sql", node, start + match.start(), start + match.end(), new)

    def _elements(self, node: ast.Set | ast.Tuple | ast.List) -> None:
        if len(node.elts) > 1 and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            plain = all(isinstance(one, ast.Constant | ast.Attribute) for one in node.elts)
            for one in node.elts if plain or isinstance(node, ast.Set) else ():
                rest = [each for each in node.elts if each is not one]
                kept: ast.expr = ast.Set(rest)
                if not isinstance(node, ast.Set):
                    kept = type(node)(rest, ast.Load())
                self._note("dropped element", node, ast.unparse(kept))
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._elements(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        self._elements(node)

    def visit_List(self, node: ast.List) -> None:
        self._elements(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        pairs = list(zip(node.keys, node.values, strict=True))
        for one in pairs:
            rest = [pair for pair in pairs if pair is not one]
            kept = ast.Dict(keys=[key for key, _ in rest], values=[value for _, value in rest])
            self._note("dropped element", node, ast.unparse(kept))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        base = ast.unparse(node.value)
        others = self._ids.get(base, [])
        if isinstance(node.ctx, ast.Load) and node.attr in others and len(others) > 1:
            other = others[(others.index(node.attr) + 1) % len(others)]
            self._note("other id", node, f"{base}.{other}")
        self.generic_visit(node)

    # --- calls ---

    def visit_Call(self, node: ast.Call) -> None:
        """Leave out what changes nothing: a line of the log, a type variable, the order in `min`."""
        name = ast.unparse(node.func)
        if _says(node) or name == "TypeVar":
            return
        if name in _CALLS and not (name == "sorted" and node.keywords):
            self._note("min/max", node.func, _CALLS[name])
        elif name == "sorted":
            self._note("min/max", node, f"list({ast.unparse(node.args[0])})")
        for first, second in pairwise(node.args if name not in {"min", "max"} else ()):
            swapped = [
                second if one is first else first if one is second else one for one in node.args
            ]
            self._call("swapped arguments", node, swapped, node.keywords)
        for one in node.keywords:
            rest = [each for each in node.keywords if each is not one]
            self._call("dropped argument", node, node.args, rest)
        self.generic_visit(node)

    def _call(
        self, kind: str, node: ast.Call, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> None:
        self._note(kind, node, ast.unparse(ast.Call(node.func, args, keywords)))

    # --- statements ---

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and not _says(call):
            self._note("dropped statement", node, "pass")
        if not isinstance(call, ast.Constant):
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._note("dropped statement", node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets):
            return
        if self._functions and all(
            isinstance(one, ast.Attribute | ast.Subscript) for one in node.targets
        ):
            self._note("dropped statement", node, "pass")
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._note("dropped statement", node, "pass")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """The words of an error decide nothing."""
        self._note("dropped raise", node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._note("no early return", node, "pass")
        elif not isinstance(node.value, ast.Constant):
            self._note("returns nothing", node, "return None")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._note("no early return", node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._note("no early return", node, "pass")

    def visit_Try(self, node: ast.Try) -> None:
        if node.finalbody:
            body = ast.Module(node.finalbody, [])
            start, _ = self._span(node.finalbody[0])
            _, end = self._span(node.finalbody[-1])
            self._statement = node.finalbody[0]
            self._note_span("no cleanup", body.body[0], start, end, "pass")
            self._statement = node
        for handler in node.handlers:
            start, _ = self._span(handler.body[0])
            _, end = self._span(handler.body[-1])
            self._statement = handler.body[0]
            self._note_span("uncaught", handler.body[0], start, end, "raise")
            self._statement = node
        self.generic_visit(node)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        if all(item.optional_vars is None for item in node.items):
            start, _ = self._span(node)
            end = self._source.index(":", self._span(node.items[-1].context_expr)[1])
            self._note_span("no lock", node, start, end, "if True")
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        self._with(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self._with(node)

    # --- where ---

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._classes += 1
        for statement in node.body:
            self.visit(statement)
        self._classes -= 1

    def visit_arg(self, node: ast.arg) -> None:
        """A type decides nothing."""

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        self._functions += 1
        for statement in node.body:
            self.visit(statement)
        self._functions -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Import(self, node: ast.Import) -> None:
        """An import decides nothing."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """An import decides nothing."""


_ASSIGNMENTS = (ast.Assign, ast.AnnAssign)


def _compared(node: ast.Compare, at: int, operator: str) -> str:
    parts = [f"({ast.unparse(node.left)})"]
    for index, (each, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
        parts += [operator if index == at else _SHOWN[type(each)], f"({ast.unparse(right)})"]
    return f"({' '.join(parts)})"


def _ids_of(tree: ast.AST) -> dict[str, list[str]]:
    """Return the ids that a module asks of each of its names."""
    found: dict[str, set[str]] = {}
    for node in _attributes(tree):
        if node.attr == "id" or node.attr.endswith(("_id", "_key")):
            found.setdefault(ast.unparse(node.value), set()).add(node.attr)
    return {base: sorted(names) for base, names in found.items()}


def _attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))


def _says(call: ast.Call) -> bool:
    """Return True if the call only writes a line of the log."""
    return "log" in ast.unparse(call.func).partition(".")[0] or "_log." in ast.unparse(call.func)
