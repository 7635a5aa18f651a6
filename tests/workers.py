"""Runs the whole suite in three processes, each with its own PostgreSQL, product and DATA_DIR.

`make test` uses two cores: two workers run tests that start the product or other servers, and mostly wait for them; the
third one runs the rest. A part of the suite (`make test TESTS=tests/hooks`) runs in one process; `-n 0` runs
everything in one, `-n 4` in four.
"""

from __future__ import annotations

import compileall
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

WORKERS = 3
TESTS = Path(__file__).resolve().parent
# One worker runs all of these: they share a site and its backups.
BACKUPS = "tests/chatapi/runtime/backup"
# These start processes and wait for them, as do files that import tests.product. The longest come first: at the end of
# the run all workers meet in the short ones, and none is idle for long.
WAITING = (
    "faults/", "chatapi/runtime/backup", "chatapi/runtime/doctor/", "chatapi/runtime/test_database_upgrade.py",
    "acceptance/", "browser/", "receivers/",
)  # fmt: skip
CODE = ("accounts", "chatapi", "hooks", "instances", "testing_tools", "tests")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Sets the number of workers before pytest-xdist reads it, if all tests are run and the caller named none."""
    options = config.option
    if hasattr(config, "workerinput") or getattr(options, "numprocesses", 0) is not None:
        return
    folders = {(config.invocation_params.dir / name).resolve() for name in config.args}
    if folders <= {TESTS, TESTS.parent} and not (options.usepdb or options.collectonly):
        options.numprocesses = WORKERS


def compile_code() -> None:
    """Writes the bytecode of all modules, so that the processes which tests start need not compile them.

    They could not keep it: started by root, the product runs as a user who may not write to the program's folders.
    """
    for folder in CODE:
        compileall.compile_dir(TESTS.parent / folder, quiet=2)


@functools.cache
def rank(file: str) -> tuple[int, int]:
    """Returns the place of a file of tests in the queue: those that wait for processes come first."""
    path = TESTS.parent / file
    name = path.relative_to(TESTS).as_posix()
    for place, beginning in enumerate(WAITING):
        if name.startswith(beginning):
            return (0, place)
    return (0, len(WAITING)) if imports_product(path) else (1, 0)


@functools.cache
def imports_product(path: Path) -> bool:
    return "from tests.product import" in path.read_text()


def unit_of(test: str) -> str:
    """Returns what one worker runs as a whole: the test's file, or the folder of backups."""
    return BACKUPS if test.startswith(f"{BACKUPS}/") else test.split("::", 1)[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns a scheduler that gives half of the workers files from the start of the queue, the others from its end.

    So tests that wait run beside tests that compute, and the files that are left for the end of the run are short ones.
    Of three workers, two start at the tests that wait.
    """
    from xdist.scheduler import LoadFileScheduling

    class FromBothEnds(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

        def _assign_work_unit(self, node: WorkerController) -> None:
            files = sorted(self.workqueue, key=lambda file: (*rank(file), len(self.workqueue[file])))
            begins = self.nodes.index(node) < (len(self.nodes) + 1) // 2
            file = files[0 if begins else -1]
            self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

    return FromBothEnds(config, log)
