"""This machine: what its disk, its limits and its processes leave to the product."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
from django.conf import settings

from chatapi.command_line import SERVICES
from chatapi.runtime.doctor.findings import Finding, NotCarriedOut, error, warning
from chatapi.ui import sizes
from chatapi.ui.durations import in_words
from hooks.dispatch.process_limits import OTHER_FILES
from instances.limits import disk_space

MIN_INODES_PERCENT = 5
MIN_TEMPORARY_BYTES = 64 * 1024**2  # the longest upload
MAX_FILES_USED = 0.8  # of the limit of open files
CODE_FOLDERS = ("accounts", "chatapi", "hooks", "instances", "testing_tools")
CODE_SUFFIXES = (".py", ".html", ".txt")
WEB = "chatapi.runtime.web"
PROGRAMS = ("manage.py", "chatapi")  # the latter for python -m chatapi


def find_full_disk() -> Iterator[Finding]:
    if disk_space.read_disk_space() is None:
        raise NotCarriedOut("the free space of the disk of DATA_DIR cannot be read")
    if problem := disk_space.warning():
        yield warning(
            problem,
            "Free space on this disk, move DATA_DIR to a larger one, or lower HOOKS_KEEP_DAYS "
            "(DISK_MIN_FREE_BYTES and DISK_MIN_FREE_PERCENT are the limits).",
        )


def find_no_inodes() -> Iterator[Finding]:
    """Some file systems, such as btrfs, have no limit, and report 0."""
    try:
        found = os.statvfs(settings.DATA_DIR)
    except OSError as fault:
        raise NotCarriedOut(f"the disk of DATA_DIR cannot be read ({fault.strerror})") from None
    if found.f_files and found.f_favail * 100 < found.f_files * MIN_INODES_PERCENT:
        yield error(
            f"The disk of DATA_DIR has almost no inodes left: {found.f_favail} of {found.f_files} are free. Without "
            "one no file can be created, and PostgreSQL stops.",
            "Delete small files on this disk that are not needed (`du --inodes` finds them), or move DATA_DIR.",
        )


def find_full_temporary_folder() -> Iterator[Finding]:
    """Long request bodies are kept in temporary files while they arrive."""
    folder = tempfile.gettempdir()
    try:
        found = os.statvfs(folder)
    except OSError as fault:
        raise NotCarriedOut(f"{folder} cannot be read ({fault.strerror})") from None
    free = found.f_bavail * found.f_frsize
    if free < MIN_TEMPORARY_BYTES:
        yield warning(
            f"The folder of temporary files ({folder}) has {sizes.in_words(free)} left: large uploads are refused.",
            "Free space there, or set TMPDIR to a folder with more, and restart.",
        )


def find_few_files() -> Iterator[Finding]:
    """The limit of open files: for this process and its like, and how much of it the product's processes use."""
    needed = settings.HOOKS_WINDOW * 2 + OTHER_FILES  # of a dispatcher, see hooks/dispatch/process_limits.py
    limits = [resource.getrlimit(resource.RLIMIT_NOFILE)[1]]
    for process in product_processes():
        with suppress(psutil.Error, OSError):
            soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
            limits.append(hard)
            used = process.num_fds()
            if used > soft * MAX_FILES_USED:
                yield warning(
                    f"The process {process.pid} ({service_of(process.cmdline())}) has {used} of at most {soft} files "
                    "open, and refuses connections at the limit.",
                    "Raise the limit (systemd: LimitNOFILE=65536; shell: ulimit -n 65536), and restart.",
                )
    infinity = resource.RLIM_INFINITY
    smallest = min((limit for limit in limits if limit != infinity), default=needed)
    if smallest < needed:
        yield warning(
            f"The limit of open files is {smallest}, so a dispatcher sends fewer hooks at the same time than "
            f"HOOKS_WINDOW ({settings.HOOKS_WINDOW}), which needs {needed}.",
            "Raise the limit (systemd: LimitNOFILE=65536; shell: ulimit -n 65536), and restart.",
        )


def find_outdated_processes() -> Iterator[Finding]:
    """Processes that were started before the code on disk was changed still run the old code."""
    processes = list(product_processes())
    if not processes:
        return
    changed = newest_change()
    old: list[str] = []
    for process in processes:
        with suppress(psutil.Error):
            if process.create_time() < changed:
                old.append(f"{service_of(process.cmdline())} (process {process.pid})")
    if old:
        ago = in_words(timedelta(seconds=max(time.time() - changed, 0)))
        yield warning(
            f"The code on disk was changed {ago} ago, after running processes had loaded it: they run the version of "
            "before, and fail when they load changed files.",
            "Restart the product: all of its processes must run the same version.",
            ", ".join(old),
        )


def newest_change() -> float:
    """Returns when the newest file of the code was changed, as a Unix time. 1,000 files take 5 ms."""
    newest = 0.0
    for top in (*(settings.BASE_DIR / name for name in CODE_FOLDERS), settings.FILES_DIR / "templates"):
        for folder, _, files in os.walk(top):
            for file in files:
                if file.endswith(CODE_SUFFIXES):
                    with suppress(OSError):
                        newest = max(newest, os.stat(os.path.join(folder, file)).st_mtime)
    return newest


def product_processes() -> Iterator[psutil.Process]:
    """Yields the services of this site on this machine, without their child processes.

    They are recognized by their command line and by DATA_DIR in their environment, or without it by their folder;
    another user's processes show neither of the latter, and are left out.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if not service_of(process.cmdline()):
                continue
            folder, data_dir = Path(process.cwd()), process.environ().get("DATA_DIR")
            if not data_dir and not settings.IS_WHEEL and folder != Path(settings.BASE_DIR).resolve():
                continue  # of another clone
            found = folder / Path(data_dir or settings.DEFAULT_DATA_DIR).expanduser()
            if Path(os.path.realpath(found)) == settings.DATA_DIR:
                yield process


def service_of(words: list[str]) -> str:
    """Returns "manage.py worker" or "chatapi.runtime.web" for the command line of a service, else an empty text."""
    if WEB in words:
        return WEB
    for place, word in enumerate(words[:-1]):
        if os.path.basename(word) in PROGRAMS and words[place + 1] in SERVICES:
            return f"manage.py {words[place + 1]}"
    return ""
