"""Limits of the dispatcher's process: requests in flight by its open files, and memory per request."""

from __future__ import annotations

import contextlib
import ctypes
import resource

from django.conf import settings

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # from glibc's malloc.h
OTHER_FILES = 100  # file descriptors that are not a request's


def max_in_flight() -> int:
    """Returns HOOKS_WINDOW, or fewer if the process may not open enough files; raises its soft limit if it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.HOOKS_WINDOW * 2 + OTHER_FILES  # kept connections count too
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(min(settings.HOOKS_WINDOW, (soft - OTHER_FILES) // 2), 10)


def save_memory() -> None:
    """Make glibc give larger blocks pages of their own, and no memory to each thread. Call it before threads start.

    A handle's 16 KB send buffer, of which a hook fills one, then takes one page: 11 MB less with a thousand in flight.
    The database threads would keep what their largest batch took, although one thread runs at a time. Does nothing with
    other C libraries.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 16 * 1024)
        libc.mallopt(M_ARENA_MAX, 1)
