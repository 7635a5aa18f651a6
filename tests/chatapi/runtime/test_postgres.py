"""The embedded PostgreSQL: created, shared, adopted, refused; no other user's folder is changed."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import command_line, postmaster, remaining_processes
from tests.product import ROOT

HOLD = """
import sys, time
from pathlib import Path
from chatapi.runtime.postgres import server as postgres
server = postgres.start(Path(sys.argv[1]), die_with_parent=sys.argv[2] == "leash", thrown_away=True)
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """DATA_DIR/pg below a folder that everyone may enter (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory(prefix="chatapi-pg-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder) / "pg"


def ask(path: Path, question: str) -> object:
    with psycopg.connect(
        host=str(postgres_server.socket_folder(path)), user="chatapi", dbname="chatapi"
    ) as connection:
        cursor = connection.execute(question)
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        assert row
        return row[0]


def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode, owner and group of the folder and of all above it."""
    found = {path: path.stat() for path in (folder, *folder.parents)}
    return {path: (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) for path, info in found.items()}


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while command_line(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert command_line(pid) == []


def holder(path: Path, how: str) -> tuple["subprocess.Popen[str]", int]:
    """A process that starts the database and stays; its handle, and the database's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, int(process.stdout.readline())


def test_it_is_made_and_kept_and_gone_after_the_block(data: Path) -> None:
    with postgres_server.running(data, thrown_away=True) as server:
        assert ask(data, "SELECT current_setting('server_version_num')::int / 10000") == 18
        assert ask(data, "SELECT current_setting('listen_addresses')") == ""
        assert ask(data, "SELECT current_setting('data_checksums')") == "on"
        assert ask(data, "CREATE TABLE kept (seven int); INSERT INTO kept VALUES (7) RETURNING seven") == 7
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE(postgres_server.socket_folder(data).stat().st_mode) == 0o700
    assert command_line(server.pid) == []
    with postgres_server.running(data, thrown_away=True):
        assert ask(data, "SELECT seven FROM kept") == 7


def test_a_commit_waits_for_the_disk_unless_the_data_is_thrown_away(data: Path) -> None:
    with postgres_server.running(data):
        assert ask(data, "SELECT current_setting('synchronous_commit')") == "on"
        assert ask(data, "SELECT current_setting('fsync')") == "on"


def test_it_starts_below_a_folder_closed_to_others_and_changes_no_folder_of_somebody_else(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = modes(closed)
    with postgres_server.running(closed / "data" / "pg", thrown_away=True):
        assert ask(closed / "data" / "pg", "SELECT 1") == 1
    assert modes(closed) == before


def test_it_starts_when_its_own_programs_lie_below_a_folder_closed_to_others(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = postgres_server.programs().parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(wheel / "pginstall18", closed / wheel.name / "pginstall18", symlinks=True)
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), closed / f"{wheel.name}.libs")
    monkeypatch.setattr(postgres_server, "programs", lambda _: closed / wheel.name / "pginstall18" / "bin")
    with postgres_server.running(data, thrown_away=True) as server:
        assert command_line(server.pid)[0].startswith(str(closed))
        assert ask(data, "SELECT 1") == 1
    assert modes(closed)[closed][0] == 0o700


def test_a_path_too_long_for_a_socket_gets_a_short_folder_of_its_own(data: Path) -> None:
    deep = data.parent / ("x" * 100) / "pg"
    folder = postgres_server.socket_folder(deep)
    assert folder.parent == Path("/tmp")
    with postgres_server.running(deep, thrown_away=True):
        assert ask(deep, "SELECT 1") == 1
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    shutil.rmtree(folder)


def test_a_short_folder_that_others_may_enter_is_refused(data: Path) -> None:
    deep = data.parent / ("y" * 100) / "pg"
    folder = postgres_server.socket_folder(deep)
    folder.mkdir(mode=0o755)
    try:
        with pytest.raises(postgres_server.PostgresError, match="is not PostgreSQL"):
            postgres_server.start(deep)
        assert not (deep / "data").exists()
    finally:
        folder.rmdir()


def test_the_last_to_leave_stops_it_not_the_first(data: Path) -> None:
    with postgres_server.running(data, thrown_away=True) as first:
        with postgres_server.running(data, thrown_away=True) as second:
            assert second.pid == first.pid
        assert ask(data, "SELECT 1") == 1
    assert postmaster(data) is None


def test_one_that_still_runs_is_adopted(data: Path) -> None:
    process, pid = holder(data, "free")
    process.kill()
    process.wait()
    server = postgres_server.start(data)
    assert (server.pid, server.process) == (pid, None)
    postgres_server.stop(server)
    wait_until_gone(pid)


def test_it_ends_with_the_process_that_started_it_even_by_kill_9(data: Path) -> None:
    process, pid = holder(data, "leash")
    process.kill()
    process.wait()
    wait_until_gone(pid)
    with postgres_server.running(data, thrown_away=True):
        assert ask(data, "SELECT 1") == 1


def test_it_starts_after_kill_9_of_its_main_process(data: Path) -> None:
    process, pid = holder(data, "leash")
    os.kill(pid, signal.SIGKILL)
    with postgres_server.running(data, thrown_away=True) as server:
        assert server.pid != pid
        assert ask(data, "SELECT 1") == 1
    process.kill()
    process.wait()


def test_a_pid_file_that_names_somebody_elses_process_is_no_server(data: Path) -> None:
    with postgres_server.running(data, thrown_away=True):
        text = (data / "data" / "postmaster.pid").read_text()
    (data / "data" / "postmaster.pid").write_text(text.replace(text.split("\n")[0], str(os.getpid()), 1))
    with postgres_server.running(data, thrown_away=True):
        assert ask(data, "SELECT 1") == 1
    assert remaining_processes(data) == []


def test_data_of_another_version_is_refused_in_one_sentence(data: Path) -> None:
    with postgres_server.running(data, thrown_away=True):
        pass
    for version, what_to_do in (("16", "upgrade-database"), ("15", "pg_dump"), ("19", "pg_dump")):
        (data / "data" / "PG_VERSION").write_text(f"{version}\n")
        with pytest.raises(postgres_server.PostgresError, match=what_to_do) as refusal:
            postgres_server.start(data)
        assert str(refusal.value).startswith(
            f"The data in {data}/data was written by PostgreSQL {version}, and this program includes 18; "
        )
        assert (data / "data" / "PG_VERSION").read_text() == f"{version}\n"


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(data: Path) -> None:
    data.mkdir()
    (data / "data").mkdir()
    (data / "data" / "letter").write_text("mine")
    before = modes(data)
    with pytest.raises(postgres_server.PostgresError, match=r"is not empty|is not PostgreSQL"):
        postgres_server.start(data)
    assert modes(data) == before
    assert (data / "data" / "letter").read_text() == "mine"


def test_a_place_that_cannot_be_a_folder_is_refused_in_one_sentence(data: Path) -> None:
    file = data.parent / "file"
    file.write_text("")
    with pytest.raises(postgres_server.PostgresError) as refusal:
        postgres_server.start(file / "pg")
    assert str(refusal.value) == (
        f"DATA_DIR {file} cannot be used (Not a directory); give it to the user who runs this, "
        "or use another folder: DATA_DIR=/your/folder."
    )
