"""How `make test` divides the suite between its worker processes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workers import TESTS, WORKERS, pytest_cmdline_main, rank, unit_of


def workers_of(*args: str, folder: Path = TESTS.parent, **options: Any) -> int | None:
    """Returns the number of workers of `pytest <args>` in the folder; None is one process."""
    known = {"numprocesses": None, "usepdb": False, "collectonly": False} | options
    config: Any = SimpleNamespace(
        args=list(args), invocation_params=SimpleNamespace(dir=folder), option=SimpleNamespace(**known)
    )
    pytest_cmdline_main(config)
    return config.option.numprocesses


@pytest.mark.parametrize("args", [("tests",), (".",), (str(TESTS),)])
def test_the_whole_suite_runs_in_workers(args: tuple[str, ...]) -> None:
    assert workers_of(*args) == WORKERS


@pytest.mark.parametrize("args", [("tests/hooks",), ("tests/test_workers.py::test_x",), ("tests", "hooks")])
def test_a_part_of_the_suite_runs_in_one_process(args: tuple[str, ...]) -> None:
    assert workers_of(*args) is None


@pytest.mark.parametrize("options", [{"usepdb": True}, {"collectonly": True}])
def test_a_debugger_and_a_list_of_tests_need_one_process(options: dict[str, Any]) -> None:
    assert workers_of("tests", **options) is None


@pytest.mark.parametrize("number", [0, 4])
def test_the_caller_may_choose_the_number(number: int) -> None:
    assert workers_of("tests", numprocesses=number) == number


def test_files_that_wait_for_processes_come_first() -> None:
    files = [
        "tests/test_workers.py",
        "tests/test_demo.py",
        "tests/browser/test_bin.py",
        "tests/chatapi/runtime/backup/test_archive.py",
        "tests/faults/test_kill.py",
    ]
    assert sorted(files, key=rank) == files[::-1]
    assert rank("tests/hooks/test_holds.py") == rank("tests/test_workers.py")


def test_one_worker_runs_a_file_or_all_tests_of_backups() -> None:
    assert unit_of("tests/hooks/test_holds.py::test_x[a::b]") == "tests/hooks/test_holds.py"
    folder = "tests/chatapi/runtime/backup"
    assert (
        unit_of(f"{folder}/test_archive.py::test_x") == unit_of(f"{folder}/test_holding.py::test_y") == folder
    )
    assert rank(folder) == rank(f"{folder}/test_archive.py")
