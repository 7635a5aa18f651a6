"""A Debian machine for one test: systemd as its first process, on a copy of this machine's files.

What is written there is kept in memory and gone with it: the files of this machine are the lower layer of an overlay.
Processes, mounts, users and units are the machine's own. The network is this machine's, so a test reaches its ports; it
cannot be changed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.requirements import cannot_run

SYSTEMD = Path("/lib/systemd/systemd")
BOOT_SECONDS = 120
# Starts the journal and D-Bus, and nothing else. `systemctl start` starts what a test installs.
TARGET = """
[Unit]
Description=Test
Requires=systemd-journald.service dbus.socket
After=systemd-journald.service dbus.socket
"""
# Runs with a mount namespace of its own. {scratch} becomes the machine's files, with what `binds` mounts.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {scratch}
mkdir {scratch}/upper {scratch}/work {scratch}/root
mount -t overlay overlay -o lowerdir=/,upperdir={scratch}/upper,workdir={scratch}/work {scratch}/root
cd {scratch}/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs var/log
mount -t tmpfs tmpfs dev
mkdir dev/shm dev/pts run/old
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for name in null zero full random urandom tty; do cp -a /dev/$name dev/; done
ln -s /proc/self/fd dev/fd
{binds}
rm -f etc/machine-id
echo '{target}' > etc/systemd/system/test.target
pivot_root . run/old
umount -l /run/old
rights=-net_admin,-sys_module,-sys_time,-sys_boot,-audit_control,-audit_read
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set $rights {systemd} \\
    --system --unit=test.target --log-target=journal --show-status=no
"""


class Machine:
    """`with Machine(folder, binds) as machine:` waits until it has booted, and ends everything in it.

    binds    folders of this machine that are mounted, read-only, at other paths
    """

    def __init__(self, folder: Path, binds: dict[str, Path]) -> None:
        self.folder, self.binds = folder, binds
        self.group: Path | None = None
        self.held = contextlib.ExitStack()

    def __enter__(self) -> Machine:
        if os.getuid() != 0 or not SYSTEMD.exists():
            cannot_run("Needs root and systemd: apt-get install systemd")
        with contextlib.ExitStack() as held:
            self.boot(held.enter_context(control_group()))
            held.callback(self.stop)
            self.wait_until_booted()
            self.held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def boot(self, group: Path) -> None:
        scratch = self.folder / "machine"
        scratch.mkdir()
        binds = "\n".join(
            f"mkdir -p .{path}; mount --rbind -o ro {shlex.quote(str(folder))} .{path}"
            for path, folder in self.binds.items()
        )
        script = BOOT.format(scratch=shlex.quote(str(scratch)), binds=binds, target=TARGET, systemd=SYSTEMD)
        own = f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))} && exec "
        unshare = [
            "unshare", "--cgroup", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "sh", "-c", script,
        ]  # fmt: skip
        self.log = open(self.folder / "boot.log", "wb")  # noqa: SIM115 - closed by stop()
        self.process = subprocess.Popen(
            ["sh", "-c", own + shlex.join(unshare)],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def wait_until_booted(self) -> None:
        until = time.monotonic() + BOOT_SECONDS
        said = ""
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.folder / "boot.log").read_text()
            if first := self.first_process():
                done = self.run("systemctl is-active test.target", check=False, init=first)
                said = done.stdout + done.stderr
                if done.stdout.strip() == "active":
                    return
            time.sleep(0.1)
        raise AssertionError(f"It did not boot: {said}\n" + (self.folder / "boot.log").read_text())

    def first_process(self) -> int | None:
        """Returns the id of the machine's systemd, as this machine numbers it; None if it has not been started yet."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                if child.exe() == str(SYSTEMD.resolve()):
                    return child.pid
        return None

    def run(
        self, command: str, *, check: bool = True, init: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell command in the machine, as root."""
        init = init or self.first_process()
        done = subprocess.run(
            ["nsenter", "-t", str(init), "-m", "-p", "-u", "-i", "-C", "-r", "-w", "--", "sh", "-c", command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def journal(self) -> str:
        """Returns the last lines that units have logged."""
        return self.run("journalctl --no-pager --lines 60 --output cat", check=False).stdout

    def stop(self) -> None:
        if first := self.first_process():
            os.kill(first, 9)  # the kernel ends every process of its namespace
        self.process.kill()
        self.process.wait()
        self.log.close()


@contextlib.contextmanager
def control_group() -> Iterator[Path]:
    """A control group of cgroup v2 for the machine, below that of this process."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    tops = [Path(words[4]) for words in mounts if "cgroup2" in words[words.index("-") :]]
    own = next(
        line.removeprefix("0::/")
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        if line[:3] == "0::"
    )
    if not tops:
        cannot_run("Needs a mounted cgroup2 file system")
    group = tops[0] / own / f"chatapi-test-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        for folder, _, _ in os.walk(group, topdown=False):
            until = time.monotonic() + 30
            while True:  # its processes are still ending
                try:
                    os.rmdir(folder)
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)


def interpreter() -> Path:
    """Returns the folder of the Python that runs the tests, without the virtual environment."""
    return Path(sys.base_prefix).resolve()
