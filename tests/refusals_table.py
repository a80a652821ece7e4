"""X's refusals as a table: `python -m tests.refusals_table` writes it into its page."""

from __future__ import annotations

from pathlib import Path

from botkit.protocol.oauth.oauth1_flow import XML_HASH
from botkit.protocol.refusals.table import TABLE, Diagnosis

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "doctor.md"
HEAD = ("X answers", "verdict", "it is about", "cause", "cure")


def rendered() -> str:
    """Return the table, a row for each of the code's."""
    rows = [HEAD, *(["---"] * len(HEAD),), *(_cells(row) for row in TABLE)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def written() -> str:
    """Return the table as the page has it."""
    return _split()[1]


def write() -> None:
    """Put the code's table into the page."""
    before, _, after = _split()
    PAGE.write_text(f"{before}{rendered()}{after}", encoding="utf-8")


def _split() -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands behind it."""
    lines = PAGE.read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {HEAD[0]} |"))
    end = next(
        (at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines)
    )
    return "".join(lines[:start]), "".join(lines[start:end]), "".join(lines[end:])


def _cells(row: Diagnosis) -> tuple[str, ...]:
    return (_signs(row), row.verdict.value, row.topic.value, row.cause, row.cure)


def _signs(row: Diagnosis) -> str:
    named = [
        *(f"`{name}`" for name in (*row.types, *row.titles)),
        *(f"code {code}" for code in row.codes),
    ]
    reasons = [
        "XML `<hash>`" if reason == XML_HASH else f"reason `{reason}`" for reason in row.reasons
    ]
    text = f"in words like “{row.text}”" if row.text else ""
    statuses = ", ".join(str(status) for status in row.statuses)
    signs = [statuses, " or ".join(named), " or ".join(reasons), text]
    return " ".join(sign for sign in signs if sign) or "anything else"


if __name__ == "__main__":
    write()
