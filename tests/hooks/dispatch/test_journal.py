"""The journal: results that a dead dispatcher has not recorded are recorded by the next one."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from hooks.dispatch import claim, journal
from hooks.dispatch.attempts import AttemptResult, ClaimedHook, attempt_result
from hooks.dispatch.copy_text import line
from hooks.dispatch.journal import Journal
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.models import Attempt, Endpoint, Hook, Outcome, State
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import ME, OTHER, Dispatcher, emit, retrying, wait_until_unlocked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "dispatch"


@pytest.fixture
def lane() -> Endpoint:
    return InstanceFactory(url="http://a.example/").endpoint


def result(hook: ClaimedHook, status: int = 200) -> AttemptResult:
    """A result with a value in each field."""
    at = datetime.now(UTC)
    response = Response(
        Outcome.OK if status == 200 else Outcome.NOT_200, status, [["Content-Type", "text/plain"]],
        b"\x00\xff done", 7, "192.0.2.1:80", "a remark", 0.25, 0.5, 0.75, 1.5, 2.25,
    )  # fmt: skip
    return attempt_result(hook, at, hook.headers(at), response)


def written(owner: int, results: list[AttemptResult]) -> Journal:
    made = Journal(owner)
    made.write(results)
    return made


def read_all(owner: int = OTHER) -> list[AttemptResult]:
    return [
        found
        for paths in journal.files_of_others(owner).values()
        for path in paths
        for found in journal.read(path)
    ]


def test_an_attempt_is_read_as_it_would_have_been_logged(lane: Endpoint) -> None:
    emit(lane, 2)
    me = Dispatcher(ME)
    delivered, failed = me.claim(lane)
    results = [result(delivered), result(failed, 500)]
    written(ME, results[:1]).write(results[1:])
    found = read_all()
    me.session.close()
    assert [line(each) for each in found] == [line(each) for each in results]
    for one, other in zip(found, results, strict=True):
        assert (one.state, one.started_at, one.next_attempt_at, one.finished_at) == (
            other.state, other.started_at, other.next_attempt_at, other.finished_at,
        )  # fmt: skip
        assert one.response == other.response


def test_the_files_have_neither_the_body_nor_the_secret(lane: Endpoint, folder: Path) -> None:
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    hook.body = b'{"private": "text"}'
    written(ME, [result(hook)])
    me.session.close()
    [path] = folder.iterdir()
    assert b"private" not in path.read_bytes()
    assert hook.secret.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_dead_dispatcher_left_is_recorded_before_its_lanes_are_free(
    lane: Endpoint, folder: Path
) -> None:
    emit(lane, 3)
    me, other = Dispatcher(ME), Dispatcher(OTHER)
    hooks = me.claim(lane)
    written(ME, [result(hook) for hook in hooks[:2]])
    me.session.close()
    wait_until_unlocked(other.session, ME)
    assert claim.sweep(other.session, lambda: journal.record_left(other.session, OTHER)) == [lane.pk]
    assert list(Hook.objects.order_by("pk").values_list("state", flat=True)) == [
        State.DELIVERED, State.DELIVERED, State.QUEUED,
    ]  # fmt: skip
    assert Attempt.objects.count() == 2
    assert [hook.id for hook in other.claim(lane)] == [hooks[2].id]
    assert list(folder.iterdir()) == []
    other.session.close()


def test_a_retry_that_failed_again_is_planned(lane: Endpoint) -> None:
    [hook] = emit(lane)
    retrying(hook)
    me, other = Dispatcher(ME), Dispatcher(OTHER)
    [claimed] = me.claim(lane)
    expected = result(claimed, 500)
    written(ME, [expected])
    me.session.close()
    wait_until_unlocked(other.session, ME)
    claim.sweep(other.session, lambda: journal.record_left(other.session, OTHER))
    other.session.close()
    hook.refresh_from_db()
    assert (hook.state, hook.attempts_made) == (State.RETRYING, 2)
    assert hook.next_attempt_at == expected.next_attempt_at


def test_the_results_of_a_living_dispatcher_are_left(lane: Endpoint) -> None:
    emit(lane)
    me, other = Dispatcher(ME), Dispatcher(OTHER)
    [hook] = me.claim(lane)
    written(ME, [result(hook)])
    assert not journal.record_left(other.session, OTHER)
    assert len(read_all()) == 1
    for each in (me, other):
        each.session.close()


def test_a_result_that_was_recorded_before_the_file_was_emptied_is_one_attempt(lane: Endpoint) -> None:
    emit(lane)
    me, other = Dispatcher(ME), Dispatcher(OTHER)
    [hook] = me.claim(lane)
    results = [result(hook)]
    written(ME, results)
    record_attempts(me.session, results, owner=ME)
    me.session.close()
    wait_until_unlocked(other.session, ME)
    claim.sweep(other.session, lambda: journal.record_left(other.session, OTHER))
    other.session.close()
    assert Attempt.objects.count() == 1


def test_recorded_results_leave_nothing(lane: Endpoint, folder: Path) -> None:
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    made = written(ME, [result(hook)])
    made.clear(made.end_batch())
    assert read_all() == []
    made.write([result(hook)])  # the same file again
    assert len(list(folder.iterdir())) == len(read_all()) == 1
    made.clear(made.end_batch())
    made.close()
    assert list(folder.iterdir()) == []


def test_a_batch_that_could_not_be_recorded_stays_for_the_next_dispatcher(lane: Endpoint) -> None:
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    made = written(ME, [result(hook)])
    made.end_batch()
    made.close()
    assert len(read_all()) == 1


def test_a_file_that_another_dispatcher_has_taken_is_replaced(lane: Endpoint, folder: Path) -> None:
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    made = written(ME, [result(hook)])
    made.clear(made.end_batch())
    for path in folder.iterdir():
        path.unlink()
    made.write([result(hook)])
    assert len(read_all()) == 1
    made.close()


@pytest.mark.parametrize("cut", [1, 10, 25])
def test_a_portion_that_was_not_written_completely_is_left_out(
    lane: Endpoint, folder: Path, cut: int
) -> None:
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    written(ME, [result(hook)]).write([result(hook)])
    [path] = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(read_all()) == 1


def test_the_files_of_another_version_of_python_and_damaged_ones_are_not_recorded(
    lane: Endpoint, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    made = written(ME, [result(hook)])
    made.end_batch()
    made.write([result(hook)])
    foreign, damaged = sorted(folder.iterdir())
    foreign.write_bytes(b"\x00" + foreign.read_bytes()[1:])
    content = damaged.read_bytes()
    damaged.write_bytes(content[: journal.HEADER.size] + b"?" * (len(content) - journal.HEADER.size))
    me.session.close()
    other = Dispatcher(OTHER)
    wait_until_unlocked(other.session, ME)
    assert not journal.record_left(other.session, OTHER)
    assert "cannot be recorded" in caplog.text
    assert list(folder.iterdir()) == []
    assert Attempt.objects.count() == 0
    other.session.close()


def test_a_full_disk_is_logged_once_and_stops_nothing(
    lane: Endpoint, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file where the folder should be")
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    made = Journal(ME)
    for _ in range(2):
        made.write([result(hook)])
        made.clear(made.end_batch())
    made.close()
    assert caplog.text.count("cannot be kept") == 1


def test_nothing_follows_a_portion_that_was_written_in_part(
    lane: Endpoint, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The files of this process may have a size at which the second portion is cut in the middle."""
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    made = written(ME, [result(hook)])
    [path] = folder.iterdir()
    size = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, limits[1]))
    try:
        made.write([result(hook)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.stat().st_size == size + size // 2
    assert made.is_broken
    assert f"({os.strerror(errno.ENOSPC)})" in caplog.text
    made.write([result(hook)])  # there is room again
    assert path.stat().st_size == size + size // 2
    assert [each.hook.id for each in read_all()] == [hook.id]


def test_headers_survive_as_json(lane: Endpoint) -> None:
    """The log stores the headers of the request as JSON: they are read back with the same names in the same order."""
    emit(lane)
    me = Dispatcher(ME)
    [hook] = me.claim(lane)
    me.session.close()
    made = result(hook)
    written(ME, [made])
    assert json.dumps(read_all()[0].headers) == json.dumps(made.headers)
