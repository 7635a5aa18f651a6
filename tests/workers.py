"""Runs the whole suite in two processes, each with its own PostgreSQL, product and DATA_DIR.

`make test` uses two cores: one worker runs tests that start the product or other servers, and mostly wait for them; the
other one runs the rest. A part of the suite (`make test TESTS=tests/hooks`) runs in one process; `-n 0` runs
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

WORKERS = 2
TESTS = Path(__file__).resolve().parent
# These start processes and wait for them, as do files that import tests.product. The longest come first: at the end of
# the run both workers meet in the short ones, and none is idle for long. The tests of backups share a site.
WAITING = (
    "faults/", "chatapi/runtime/backup/", "chatapi/runtime/doctor/", "chatapi/runtime/test_database_upgrade.py",
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns a scheduler that gives the first worker files from the start of the queue, the others from its end.

    So tests that wait run beside tests that compute, the shared product is started once, and the files that are left
    for the end of the run are short ones.
    """
    from xdist.scheduler import LoadFileScheduling

    class FromBothEnds(LoadFileScheduling):
        def _assign_work_unit(self, node: WorkerController) -> None:
            files = sorted(self.workqueue, key=lambda file: (*rank(file), len(self.workqueue[file])))
            file = files[0 if node is self.nodes[0] else -1]
            self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

    return FromBothEnds(config, log)
