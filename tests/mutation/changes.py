"""Small changes of a module on purpose: each is one that a test ought to notice."""

from __future__ import annotations

import ast
from dataclasses import dataclass

_SWAPPED: dict[type[ast.AST], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.And: "or",
    ast.Or: "and",
    ast.Add: "-",
    ast.Sub: "+",
}


@dataclass(frozen=True)
class Change:
    """One change: the text from `start` to `end`, in characters, becomes `new`."""

    line: int
    start: int
    end: int
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the source with the change."""
        return source[: self.start] + self.new + source[self.end :]


def changes_of(source: str) -> list[Change]:
    """Return every change that can be made of a module, in the order of its text."""
    found = _Finder(source).found
    return sorted(found, key=lambda change: (change.start, change.new))


class _Finder(ast.NodeVisitor):
    """Walks through what a module does, and leaves out what it only says."""

    def __init__(self, source: str) -> None:
        self.found: list[Change] = []
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._source = source
        self.visit(ast.parse(source))

    def _note(self, node: ast.expr | ast.stmt, new: str) -> None:
        start = self._place(node.lineno, node.col_offset)
        end = self._place(node.end_lineno or node.lineno, node.end_col_offset or 0)
        old = self._source[start:end]
        self.found.append(Change(node.lineno, start, end, old, new))

    def _place(self, line: int, column: int) -> int:
        encoded = self._lines[line - 1].encode()[:column]
        return self._starts[line - 1] + len(encoded.decode())

    def _text(self, node: ast.AST) -> str:
        return ast.unparse(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for at, operator in enumerate(node.ops):
            parts = [self._text(node.left)]
            for index, (each, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
                shown = _SWAPPED[type(operator)] if index == at else _shown(each)
                parts += [shown, f"({self._text(right)})"]
            self._note(node, f"({' '.join(parts)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        values = f" {_SWAPPED[type(node.op)]} ".join(f"({self._text(one)})" for one in node.values)
        self._note(node, f"({values})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._note(node, f"({self._text(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _SWAPPED:
            left, right = self._text(node.left), self._text(node.right)
            self._note(node, f"({left} {_SWAPPED[type(node.op)]} ({right}))")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._note(node, str(not node.value))
        elif isinstance(node.value, int | float):
            self._note(node, repr(node.value + 1))

    def visit_If(self, node: ast.If) -> None:
        if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            self._note(node.test, f"(not ({self._text(node.test)}))")
        self._visit_parts(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._note(node.test, f"(not ({self._text(node.test)}))")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and not _says(call):
            self._note(node, "pass")
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._note(node, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """The words of an error decide nothing."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Words decide nothing; nor does Python 3.11 know where their parts stand."""

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_arg(self, node: ast.arg) -> None:
        """A type decides nothing."""

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def _visit_parts(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.generic_visit(node)


def _shown(operator: ast.cmpop) -> str:
    compared = ast.Compare(ast.Name("a"), [operator], [ast.Name("b")])
    return ast.unparse(compared)[2:-2]


def _says(call: ast.Call) -> bool:
    """Return True if the call only writes a line of the log."""
    return "log" in ast.unparse(call.func).partition(".")[0] or "_log." in ast.unparse(call.func)
