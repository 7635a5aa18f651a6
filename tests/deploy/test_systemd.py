"""The units of deploy/systemd on a machine whose first process is systemd, installed with the commands of the docs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import requests

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME, socket_folder
from tests.deploy.machine import Machine
from tests.deploy.site import clone, commands
from tests.faults.product_instance import create_product_instance
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import READY_SECONDS, ROOT, free_port, product_environment
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)

UNITS = sorted(path.name for path in (ROOT / "deploy" / "systemd").glob("chatapi*.*") if path.is_file())
SERVICES = [name for name in UNITS if name.endswith(".service")]
MAX_EXPOSURE = (
    1.5  # of 10, as `systemd-analyze security` counts it; a service without any line of hardening has 9.6
)


@dataclass
class Site:
    """The installed site: its machine, its URL, and the environment of a command that uses its database and keys.

    `restarts` are those of the services until the site was ready.
    """

    machine: Machine
    url: str
    environment: dict[str, str]
    restarts: dict[str, int] = field(default_factory=dict)

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        said = self.machine.run(f"systemctl show {unit} --property {','.join(names)}").stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def count_restarts(self) -> dict[str, int]:
        return {service: int(self.properties(service, "NRestarts")["NRestarts"]) for service in SERVICES}

    def main_process(self, unit: str) -> psutil.Process:
        """Returns the main process of the service, as this machine numbers it."""
        inside = self.properties(unit, "MainPID")["MainPID"]
        for process in psutil.process_iter():
            status = Path(f"/proc/{process.pid}/status")
            try:
                numbers = re.findall(r"^NSpid:\s*(.*)$", status.read_text(), re.MULTILINE)[0].split()
                if len(numbers) == 2 and numbers[1] == inside and self.is_in_machine(process.pid):
                    return process
            except OSError:  # it has ended
                continue
        raise AssertionError(f"{unit} has no main process:\n{self.machine.journal()}")

    def is_in_machine(self, pid: int) -> bool:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(
            f"/proc/{self.machine.first_process()}/ns/pid"
        )

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            try:
                return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
            except requests.RequestException:
                return False

        try:
            wait_until(is_ready, "it is ready", READY_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.journal()}") from None


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that everyone may enter."""
    with TemporaryDirectory(prefix="chatapi-systemd-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def database(folder: Path) -> Iterator[Path]:
    """The folder of the socket of a PostgreSQL that any user of the machine may connect to."""
    server = postgres_server.start(folder / "pg", thrown_away=True)
    sockets = socket_folder(folder / "pg")
    sockets.chmod(0o755)
    yield sockets
    postgres_server.stop(server)


@pytest.fixture(scope="module")
def site(folder: Path, database: Path) -> Iterator[Site]:
    port = free_port()
    with Machine(folder, clone(folder / "code") | {"/run/postgresql": database}) as machine:
        machine.run("getent passwd chatapi && userdel chatapi", check=False)
        # An interpreter with a shared library looks for it where it was installed.
        machine.run("echo /opt/python/lib > /etc/ld.so.conf.d/000-python.conf && ldconfig")
        for command in commands("docs/install.md", "Create the system user, the settings and the services"):
            if command.startswith("systemctl enable"):
                settings = f"PORT={port}\nHOOKS_ALLOW_NETWORKS=127.0.0.0/8\nSECRETS_KEY={'k' * 32}"
                machine.run(f"echo {shlex.quote(settings)} >> /etc/chatapi/env")
            machine.run(command)
        environment = product_environment(
            folder / "data",
            DATABASE_URL=f"postgresql:///{NAME}?host={database}&user={NAME}",
            SECRETS_KEY="k" * 32,
            SITE_URL="https://chat.example.com",
        )
        found = Site(machine, f"http://127.0.0.1:{port}", environment)
        found.wait_until_ready()
        found.restarts = found.count_restarts()
        yield found


def test_systemd_finds_nothing_wrong_with_the_units(site: Site) -> None:
    done = site.machine.run(f"systemd-analyze verify --man=no {' '.join(UNITS)}", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_are_hardened(site: Site, service: str) -> None:
    done = site.machine.run(
        f"systemd-analyze security --no-pager --threshold={MAX_EXPOSURE * 10:.0f} {service}", check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_services_wait_until_the_database_is_prepared(site: Site) -> None:
    """They were started together, with an empty database: none of them failed."""
    assert site.restarts == dict.fromkeys(SERVICES, 0), site.machine.journal()


def test_all_services_run_as_the_user_without_a_capability(site: Site) -> None:
    uid = int(site.machine.run("id -u chatapi").stdout)
    processes: list[psutil.Process] = []
    for service in SERVICES:
        main = site.main_process(service)
        processes += [main, *main.children(recursive=True)]
    found: list[dict[str, str]] = []
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            found.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))
    assert len(found) > len(SERVICES)
    for status in found:
        assert set(status["Uid"].split()) == {str(uid)}
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_write_to_its_own_folder_alone(site: Site, service: str) -> None:
    process = site.main_process(service)
    enter = f"nsenter -t {process.pid} -m -r -w -S {process.uids().real} -G {process.gids().real} --"
    for place, is_writable in (
        ("/var/lib/chatapi", True), ("/tmp", True), ("/var/tmp", True), ("/opt/chatapi", False),
        ("/etc/chatapi", False), ("/root", False), ("/home", False), ("/var/lib", False), ("/usr/lib", False),
    ):  # fmt: skip
        assert (os.system(f"{enter} touch {place}/written 2>/dev/null") == 0) is is_writable, place


def test_a_command_runs_with_the_settings_of_the_services(site: Site) -> None:
    said = site.machine.run("chatapi shell -v 0 -c 'import getpass; from django.conf import settings as s; "
                            "print(getpass.getuser(), s.SITE_URL, s.DATA_DIR)'").stdout  # fmt: skip
    assert said.split() == ["chatapi", "https://chat.example.com", "/var/lib/chatapi"]
    assert site.machine.run("chatapi hooks check").returncode == 0
    assert site.machine.run("chatapi no-such-command", check=False).returncode != 0


def test_a_hook_is_delivered(site: Site) -> None:
    with Receiver() as receiver:
        instance = create_product_instance(site.environment, receiver.url)
        instance.receive(2)
        instance.wait_until_delivered(2)


def test_a_service_that_is_killed_is_started_again(site: Site) -> None:
    before = site.count_restarts()
    for service in SERVICES:
        site.main_process(service).kill()

    def run_again() -> bool:
        now = {service: site.properties(service, "NRestarts", "ActiveState") for service in SERVICES}
        return all(
            int(found["NRestarts"]) > before[service] and found["ActiveState"] == "active"
            for service, found in now.items()
        )

    wait_until(run_again, "all services run again", READY_SECONDS)
    site.wait_until_ready()


def test_stopping_the_target_stops_everything_in_time(site: Site) -> None:
    """systemd kills what has not ended after TimeoutStopSec, and calls that a failure."""
    site.machine.run("systemctl stop chatapi.target")  # returns before the services have ended

    def states() -> list[dict[str, str]]:
        return [site.properties(service, "ActiveState", "Result") for service in SERVICES]

    def have_ended() -> bool:
        return all(state["ActiveState"] in ("inactive", "failed") for state in states())

    wait_until(have_ended, "all services have ended", 60)
    assert states() == [{"ActiveState": "inactive", "Result": "success"}] * len(SERVICES)
    assert site.machine.run("ps -eo user:20,args | grep ^chatapi || true").stdout == ""

    site.machine.run("systemctl start chatapi.target")
    site.wait_until_ready()
