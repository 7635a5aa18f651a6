"""A clock that a test sets, for single processes: a library that LD_PRELOAD puts in front of the C library's.

Only the time of day is changed (CLOCK_REALTIME, time, gettimeofday), as by an administrator or NTP; monotonic clocks go
on as before. PostgreSQL, which the product starts without these variables, keeps the machine's clock.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.requirements import cannot_run

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("CLOCK_OFFSET_FILE");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *map = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) offset = map;
    close(file);
}

static int64_t seconds(void) { return offset ? *offset : 0; }

int clock_gettime(clockid_t clock, struct timespec *to) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, to);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) to->tv_sec += seconds();
    return result;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    if (to) { to->tv_sec = now.tv_sec; to->tv_usec = now.tv_nsec / 1000; }
    return result;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """`with Clock() as clock:` and `clock.set(seconds)`: added to the time of processes with `clock.environment`."""

    def __enter__(self) -> Self:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            cannot_run("a C compiler is needed to set the clock of a process (Debian: gcc)")
        # the product's own user must be able to read it
        self.folder = Path(tempfile.mkdtemp(prefix="chatapi-clock-"))
        self.folder.chmod(0o755)
        library, self.file = self.folder / "clock.so", self.folder / "offset"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), "-x", "c", "-", "-ldl"],
            input=SOURCE, text=True, check=True,
        )  # fmt: skip
        self.file.write_bytes(bytes(8))
        self.file.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(self.file)}
        return self

    def set(self, seconds: int) -> None:
        with self.file.open("r+b") as file:  # in place: the processes have mapped it
            file.write(struct.pack("=q", seconds))

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder)
