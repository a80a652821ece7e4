"""The modules that decide things, and the tests that ought to notice a change in them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.changes import Change, changes_of


@dataclass(frozen=True)
class Group:
    """Modules and their tests; `must` is how many of 100 changes the tests notice at least."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    must: int = 90

    def files(self, folder: Path) -> list[Path]:
        """Return the group's modules, relative to the repository."""
        found = {path.relative_to(folder) for glob in self.modules for path in folder.glob(glob)}
        return sorted(one for one in found if not one.name.startswith(("_generate", "__init__")))


GROUPS = {
    "rules": Group(("botkit/protocol/rules/*.py",), ("tests/unit/protocol/rules",), 95),
    "guard": Group(
        ("botkit/runtime/writes/checks/*.py",),
        ("tests/unit/runtime/writes",),
        95,
    ),
    "outbox": Group(
        (
            "botkit/runtime/writes/outbox.py",
            "botkit/runtime/writes/reconcile.py",
            "botkit/runtime/writes/lookups/write_lookup.py",
            "botkit/runtime/writes/write_outcomes.py",
            "botkit/runtime/writes/steps.py",
        ),
        ("tests/unit/runtime/writes",),
        95,
    ),
    "refresh": Group(
        ("botkit/client/refresh/*.py",),
        ("tests/unit/client/refresh", "tests/unit/client/logins", "tests/unit/client/upkeep"),
        95,
    ),
    "store": Group(
        ("botkit/storage/sql/**/*.py", "botkit/storage/sqlite/*.py"),
        (
            "tests/storage/test_sqlite_conformance.py",
            "tests/storage/test_events_machine.py",
            "tests/storage/test_old_tokens.py",
            "tests/storage/test_stored_forms.py",
            "tests/unit/storage/sqlite",
            "tests/unit/storage/test_copies.py",
            "tests/unit/storage/test_opening.py",
        ),
        95,
    ),
    "logins": Group(
        ("botkit/client/logins/*.py", "botkit/client/signin/*.py", "botkit/client/upkeep/*.py"),
        ("tests/unit/client", "tests/unit/bot/accounts", "tests/unit/cli/accounts"),
    ),
    "calls": Group(
        ("botkit/client/api/*.py", "botkit/client/http/*.py"),
        (
            "tests/unit/client/api",
            "tests/unit/client/http",
            "tests/unit/client/logins",
            "tests/unit/client/signin",
        ),
    ),
    "dispatch": Group(("botkit/runtime/dispatch/*.py",), ("tests/unit/runtime/dispatch",)),
    "intake": Group(("botkit/runtime/intake/*.py",), ("tests/unit/runtime",)),
    "life": Group(("botkit/runtime/life/*.py",), ("tests/unit/runtime/life",)),
    "actions": Group(
        (
            "botkit/runtime/writes/action*.py",
            "botkit/runtime/writes/causes.py",
            "botkit/runtime/writes/once_results.py",
            "botkit/runtime/writes/opt_outs.py",
            "botkit/runtime/writes/lookups/own_*.py",
            "botkit/runtime/writes/post_requests.py",
        ),
        ("tests/unit/runtime/writes", "tests/scenarios/test_post_requests.py"),
    ),
    "routing": Group(
        ("botkit/routing/*.py", "botkit/filters.py"),
        ("tests/unit/routing", "tests/unit/test_filters.py"),
    ),
    "sources": Group(("botkit/sources/**/*.py",), ("tests/unit/sources",)),
    "queries": Group(
        ("botkit/protocol/queries/*.py",),
        ("tests/unit/protocol/queries", "tests/unit/sandbox/world/test_queries.py"),
    ),
    "events": Group(("botkit/protocol/events/*.py",), ("tests/unit/protocol", "tests/wire")),
    "oauth": Group(("botkit/protocol/oauth/*.py",), ("tests/unit/protocol",)),
    "text": Group(
        ("botkit/protocol/text/*.py", "botkit/text.py"),
        ("tests/unit/protocol/text", "tests/unit/test_text.py"),
    ),
    "api": Group(
        ("botkit/protocol/api/*.py", "botkit/protocol/refusals/*.py"), ("tests/unit/protocol",)
    ),
    "leases": Group(
        ("botkit/leases/*.py", "botkit/waiting/*.py"), ("tests/unit/leases", "tests/unit/waiting")
    ),
    "vault": Group(
        ("botkit/storage/vault/*.py", "botkit/storage/*.py"),
        (
            "tests/unit/storage/vault",
            "tests/unit/storage/test_copies.py",
            "tests/unit/storage/test_opening.py",
        ),
    ),
    "web": Group(("botkit/web/**/*.py",), ("tests/unit/web", "tests/unit/wizard")),
    "wizard": Group(("botkit/wizard/*.py",), ("tests/unit/wizard",)),
    "bot": Group(("botkit/bot/**/*.py",), ("tests/unit/bot", "tests/unit/cli/commands")),
    "config": Group(
        ("botkit/config/*.py",),
        (
            "tests/unit/test_config.py",
            "tests/unit/test_config_hooks.py",
            "tests/unit/test_config_network.py",
            "tests/unit/test_config_webhook.py",
        ),
    ),
    "doctor": Group(
        ("botkit/doctor/*.py",),
        (
            "tests/unit/doctor",
            "tests/unit/cli/commands/checks/test_doctor.py",
            "tests/unit/cli/commands/checks/test_doctor_keys.py",
        ),
    ),
    "telemetry": Group(("botkit/telemetry/*.py",), ("tests/unit/telemetry",)),
}


@dataclass(frozen=True)
class Mutant:
    """A change of a module, and the module's source with it."""

    module: Path
    change: Change
    source: str

    def __str__(self) -> str:
        change = self.change
        old, new = (" ".join(text.split())[:90] for text in (change.old, change.new))
        return f"{self.module}:{change.line}: {change.kind}: {old}  ->  {new or 'nothing'}"

    def job(self) -> dict[str, object]:
        """Return what `forks` asks for."""
        return {
            "module": str(self.module),
            "source": self.source,
            "where": self.change.where,
            "lines": self.change.lines,
        }


def sample_of(group: Group, folder: Path, *, size: int, seed: int) -> list[Mutant]:
    """Draw changes by lot, of each kind in turn: the rare kinds are the ones that tests forget."""
    lot = random.Random(seed)
    kinds: dict[str, list[tuple[Path, Change]]] = {}
    for path in group.files(folder):
        for change in changes_of((folder / path).read_text()):
            kinds.setdefault(change.kind, []).append((path, change))
    for each in kinds.values():
        lot.shuffle(each)
    chosen: list[Mutant] = []
    while len(chosen) < size and any(kinds.values()):
        for each in lot.sample(list(kinds.values()), len(kinds)):
            if each and len(chosen) < size:
                path, change = each.pop()
                source = change.apply((folder / path).read_text())
                if _compiles(source):
                    chosen.append(Mutant(path, change, source))
    return chosen


def _compiles(source: str) -> bool:
    try:
        compile(source, "changed", "exec")
    except SyntaxError:
        return False
    return True
