"""The store's files: who may read them, and everything that is refused untouched."""

# ruff: noqa: ASYNC240 - files are what these tests are about

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from botkit.errors import ConfigError, Corrupt, StateError, StoreUnavailable
from botkit.storage.files import path_of
from botkit.storage.opening import open_store
from botkit.storage.sqlite import database_file, schema
from botkit.storage.sqlite.connection import plain_connect
from botkit.storage.sqlite.database_file import check_place, network_file_system, prepare
from tests.storage.conformance.bench import ME, T0, SuiteClock, event
from tests.syncs import recorded_syncs


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store with some events in it, closed."""
    path = tmp_path / "store" / "bot.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await store.events.append([event(f"e{n}", body=b"x" * 900) for n in range(40)])
    return path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///bot.db", "bot.db"),
        ("sqlite:////var/lib/bot.db", "/var/lib/bot.db"),
        ("sqlite:///a%20folder/what%3F.db", "a folder/what?.db"),
    ],
)
def test_a_url_names_a_file(url: str, path: str) -> None:
    assert path_of(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    ["postgresql://host/db", "bot.db", "sqlite://bot.db", "sqlite:///", "sqlite:///:memory:", ""],
)
def test_a_url_of_something_else_is_a_setting_to_correct(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        path_of(url)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
async def test_files_and_new_folders_are_closed_to_others_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        async with open_store(f"sqlite:///{tmp_path}/new/er/bot.db", clock=SuiteClock()) as store:
            await store.events.append([event()])
            await store.leases.acquire("r", "me", ttl=T0 - T0)
            folder = tmp_path / "new" / "er"
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    finally:
        os.umask(before)
    names = {"bot.db", "bot.db-wal", "bot.db-shm", "bot.db-locks"}
    assert modes == dict.fromkeys(names, 0o600)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700


async def test_an_ordinary_project_folder_will_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        assert store.url == f"sqlite:///{tmp_path}/bot.db"
    assert tmp_path.stat().st_mode & 0o777 == 0o755


async def test_a_store_that_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="botkit setup"):
        async with open_store(f"sqlite:///{tmp_path}/b.db", clock=SuiteClock(), create=False):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_a_store_keeps_its_id_and_no_two_share_one(tmp_path: Path) -> None:
    ids = list[str]()
    for name in ("a", "a", "b"):
        async with open_store(f"sqlite:///{tmp_path}/{name}.db", clock=SuiteClock()) as store:
            ids.append(store.store_id)
    assert ids[0] == ids[1]
    assert ids[1] != ids[2]
    assert len(ids[0]) == 32


async def test_making_a_store_leaves_nothing_else_behind(path: Path) -> None:
    assert set(_files(path.parent)) == {"bot.db"}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_store_that_others_may_read_is_refused_with_the_command(
    path: Path, suffix: str, mode: int
) -> None:
    file = Path(f"{path}{suffix}")
    file.touch()
    file.chmod(mode)
    before = _files(path.parent)
    with pytest.raises(StoreUnavailable, match=f"mode {mode:04o}") as caught:
        prepare(path, create=True, now_us=0)
    assert f"chmod 600 {path}*" in caught.value.hint
    assert _files(path.parent) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_store_of_another_user_is_refused(path: Path) -> None:
    os.chown(path, 12345, -1)
    with pytest.raises(StoreUnavailable, match="uid 12345"):
        prepare(path, create=True, now_us=0)


def _refused(path: Path, words: str) -> None:
    before = _files(path.parent)
    with pytest.raises(Corrupt, match=words) as caught:
        prepare(path, create=True, now_us=0)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    after = _files(path.parent)
    assert {name: after.get(name) for name in before} == before
    assert all(name.endswith(("-wal", "-shm")) for name in after.keys() - before.keys())


def test_a_link_is_refused(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    _refused(link, "symbolic link")


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "nowhere")
    _refused(link, "symbolic link")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    _refused(tmp_path / "folder.db", "is a folder")
    os.mkfifo(tmp_path / "pipe.db", 0o600)
    _refused(tmp_path / "pipe.db", "not a regular file")


def test_an_empty_file_is_refused_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    path.touch(0o600)
    _refused(path, "is empty")


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "glusterfs",
        "fuse.sshfs",
    ],
)
def test_these_are_network_file_systems(kind: str) -> None:
    """The types in Linux' mount table of file systems on which SQLite's locks do not hold."""
    assert network_file_system(Path("/net/bot.db"), [f"host:/x /net {kind} rw 0 0"]) == kind


@pytest.mark.parametrize("has_empty_log", [False, True])
def test_a_store_that_is_cut_within_a_page_is_refused(path: Path, *, has_empty_log: bool) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    if has_empty_log:
        Path(f"{path}-wal").touch(0o600)
    _refused(path, "is cut within its last page")


@pytest.mark.parametrize("content", [b"x", b"hello " * 1000, bytes(8192)])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bot.db"
    path.write_bytes(content)
    path.chmod(0o600)
    _refused(path, "is damaged|not a store that botkit made")


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE theirs (a)")
    path.chmod(0o600)
    _refused(path, "not a store that botkit made")


def test_a_store_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    _refused(path, "newer botkit")


def test_a_newer_store_that_ended_by_a_kill_is_refused_with_its_log_untouched(
    path: Path,
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        connection.commit()
        copy = path.with_name("copy") / "bot.db"
        copy.parent.mkdir()
        for suffix in ("", "-wal"):
            Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
            Path(f"{copy}{suffix}").chmod(0o600)
    assert Path(f"{copy}-wal").stat().st_size
    _refused(copy, "newer botkit")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM meta WHERE name = 'store_id'",
        "UPDATE meta SET value = 7 WHERE name = 'store_id'",
    ],
)
def test_a_store_without_its_id_is_refused(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    _refused(path, "has lost its id")


@pytest.mark.parametrize("pragma", ["user_version = 0", "application_id = 1"])
def test_what_bears_only_one_mark_of_a_store_is_refused(path: Path, pragma: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    _refused(path, "not a store that botkit made")


def test_a_store_cut_at_any_length_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    lengths = {1, 15, 16, 99, 100, 511, 512, 4095, 4096, 4097, len(whole) - 1, len(whole) - 100}
    for length in sorted(lengths | set(range(0, len(whole), 4096))):
        path.write_bytes(whole[:length])
        with pytest.raises(Corrupt):
            prepare(path, create=True, now_us=0)
        assert path.read_bytes() == whole[:length]


def test_a_byte_flipped_in_a_page_is_found_or_harms_no_other_row(path: Path) -> None:
    """Structure, indexes and checked columns are verified; the inside of a body is not."""
    whole = path.read_bytes()
    refused = 0
    for place in (*range(100), *range(4096, len(whole), 1021)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x81
        path.write_bytes(flipped)
        try:
            prepare(path, create=True, now_us=0)
        except StateError:
            refused += 1
            assert path.read_bytes() == bytes(flipped)
            continue
        with closing(sqlite3.connect(path)) as connection:
            kept = connection.execute("SELECT count(body) FROM event")
            assert kept.fetchone() == (40,)
    assert refused > 20


def test_a_flipped_index_is_refused(path: Path) -> None:
    """What the dedup rests on is compared with its table."""
    whole = path.read_bytes()
    key = b"e17" + ME.encode()
    place = whole.index(key)
    path.write_bytes(whole[:place] + b"e99" + whole[place + 3 :])
    _refused(path, "is damaged")


def test_up_to_a_size_a_start_reads_the_whole_file_and_no_larger_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = path.read_bytes()
    place = whole.index(b"e17" + ME.encode())
    path.write_bytes(whole[:place] + b"e99" + whole[place + 3 :])
    monkeypatch.setattr(database_file, "_CHECKED_BYTES", len(whole) - 1)
    assert prepare(path, create=True, now_us=0)
    monkeypatch.setattr(database_file, "_CHECKED_BYTES", len(whole))
    _refused(path, "is damaged")


async def test_the_check_may_be_left_out_for_a_short_command(path: Path) -> None:
    whole = path.read_bytes()
    place = whole.index(b"e17" + ME.encode())
    path.write_bytes(whole[:place] + b"e99" + whole[place + 3 :])
    async with open_store(f"sqlite:///{path}", clock=SuiteClock(), check=False) as store:
        assert len((await store.events.due(T0)).items) == 40


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"Not a directory|File exists"):
        prepare(tmp_path / "file" / "sub" / "bot.db", create=True, now_us=0)


def test_whether_a_store_could_be_made_is_told_without_a_trace(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "sub" / "bot.db")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        check_place(tmp_path / "file" / "bot.db")


def test_a_store_that_could_not_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(building: Path, now_us: int) -> None:
        building.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database_file, "_fill", fail)
    with pytest.raises(StoreUnavailable, match="No space left") as caught:
        prepare(tmp_path / "bot.db", create=True, now_us=0)
    assert "Free some space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_second_of_two_makers_takes_the_store_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bot.db"
    fill = database_file._fill

    def overtaken(building: Path, now_us: int) -> None:
        fill(building, now_us)
        monkeypatch.setattr(database_file, "_fill", fill)
        overtaken.first = prepare(path, create=True, now_us=0)

    monkeypatch.setattr(database_file, "_fill", overtaken)
    assert prepare(path, create=True, now_us=0) == overtaken.first
    assert not list(tmp_path.glob("*.new"))


def no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    prepare(tmp_path / "bot.db", create=True, now_us=0)
    assert not list(tmp_path.glob("*.new"))


def test_without_hard_links_too_what_has_the_name_is_not_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    first, new = path.read_bytes(), path.with_name("bot.db.new")
    new.write_bytes(b"the second one")
    with pytest.raises(FileExistsError):
        database_file._rename_new(new, path)
    assert path.read_bytes() == first


def test_every_connection_is_closed_once_the_store_is_made_and_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[sqlite3.Connection]()

    def noted(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
        opened.append(plain_connect(path, mode=mode))
        return opened[-1]

    monkeypatch.setattr(database_file, "plain_connect", noted)
    prepare(tmp_path / "bot.db", create=True, now_us=0)
    assert len(opened) == 3
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
def test_the_name_of_a_new_store_is_on_the_disk_before_it_is_used(tmp_path: Path) -> None:
    with recorded_syncs() as steps:
        prepare(tmp_path / "bot.db", create=True, now_us=0)
    assert ("sync", str(tmp_path)) in steps


MOUNTS = [
    "/dev/vda / ext4 rw 0 0",
    "server:/x /srv nfs4 rw 0 0",
    "//server/y /srv/local\\040disk/smb cifs rw 0 0",
    "tmpfs /srv/tmp tmpfs rw 0 0",
    "bad line",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/bot.db", "nfs4"),
        ("/srv/deep/er/bot.db", "nfs4"),
        ("/srv/tmp/bot.db", None),
        ("/srv/local disk/smb/bot.db", "cifs"),
        ("/opt/bot.db", None),
        ("/srvnot/bot.db", None),
    ],
)
def test_a_network_file_system_is_known_by_its_mount(path: str, kind: str | None) -> None:
    assert network_file_system(Path(path), MOUNTS) == kind


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        (["server:/root / nfs rw 0 0"], "nfs"),
        (["server:/x /srv nfs4"], "nfs4"),
        (["/dev/vda /srv ext4 rw 0 0", "server:/x /srv nfs4 rw 0 0"], "nfs4"),
        (["server:/x /srv nfs4 rw 0 0", "/dev/vda /srv ext4 rw 0 0"], None),
        (["server:/x /srv nfs4 rw 0 0", "/dev/vda / ext4 rw 0 0"], "nfs4"),
        (["server:/x /srv/bot.db nfs4 rw 0 0"], "nfs4"),
    ],
    ids=["root", "three words", "hides", "hidden", "nearer", "itself"],
)
def test_of_the_mounts_that_lead_to_a_file_the_nearest_and_then_the_last_counts(
    mounts: list[str], kind: str | None
) -> None:
    assert network_file_system(Path("/srv/bot.db"), mounts) == kind


def test_where_the_kernel_names_no_mounts_the_place_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def unnamed(path: Path, **more: str) -> str:
        if str(path) == "/proc/self/mounts":
            raise FileNotFoundError(2, "No such file or directory")
        return read(path, **more)

    monkeypatch.setattr(Path, "read_text", unnamed)
    assert prepare(tmp_path / "bot.db", create=True, now_us=0)


def test_a_line_of_the_mounts_that_says_too_little_is_passed_over() -> None:
    assert network_file_system(Path("/data/bot.db"), ["", "none", "a /data", *MOUNTS]) is None


def test_a_store_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "network_file_system", lambda *_: "nfs4")
    with pytest.raises(StoreUnavailable, match=r"network file system \(nfs4\)"):
        prepare(tmp_path / "bot.db", create=True, now_us=0)
    assert list(tmp_path.iterdir()) == []
