"""Errors that end a process or a thread of a service are logged like all others, not printed with their data."""

import logging
import sys
import threading
from types import TracebackType

from chatapi.command_line import SERVICES  # a command in a terminal prints Python's own traceback

log = logging.getLogger("uncaught")

MODULES = "chatapi.runtime."  # python -m chatapi.runtime.…


def is_service() -> bool:
    """Whether this process runs until a signal stops it, and its output is a log."""
    is_command = len(sys.argv) > 1 and sys.argv[1] in SERVICES
    return is_command or any(word.startswith(MODULES) for word in sys.orig_argv)


def log_uncaught_errors() -> None:
    sys.excepthook = log_error
    threading.excepthook = lambda found: log_error(found.exc_type, found.exc_value, found.exc_traceback)


def log_error(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log the error; Ctrl-C and the end of a process are none."""
    if error is None or not isinstance(error, Exception):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    log.critical("The process or thread ended with an error", exc_info=(kind, error, trace))
