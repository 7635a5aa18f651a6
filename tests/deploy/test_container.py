"""Dockerfile and compose.yaml: linted, the steps carried out on a bare Debian, and the product started in the result.

There is no Docker engine on the machines of the tests: what only an engine does (layers, networks between containers,
restarts) is not tested.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
import requests
import yaml

from tests.deploy.dockerfile import SUITE, Stage, build_script, in_chroot, inside, stages
from tests.product import READY_SECONDS, ROOT, free_port
from tests.requirements import cannot_run

BUILD_SECONDS = 900  # on a slow machine with a slow network

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 2 * READY_SECONDS)


@dataclass
class Container:
    """The image's command, running."""

    url: str
    pid: int
    image: Stage
    environment: dict[str, str]

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command in the container, as `docker exec` does."""
        stage = Stage(**vars(self.image) | {"environment": self.environment})
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-r", "--", "sh", "-c", inside(stage, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that everyone may enter."""
    with TemporaryDirectory(prefix="chatapi-container-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def debian(folder: Path) -> Path:
    """The root of the base image's Debian."""
    program = shutil.which("mmdebstrap")
    if os.getuid() != 0 or not program:
        cannot_run("Needs root and mmdebstrap: apt-get install mmdebstrap")
    [suite] = set(SUITE.findall((ROOT / "Dockerfile").read_text()))
    done = subprocess.run(
        [program, "--quiet", "--variant=minbase", "--mode=root", suite, str(folder / "debian")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "debian"


@pytest.fixture(scope="module")
def container(folder: Path, debian: Path) -> Iterator[Container]:
    """The image that the Dockerfile describes, with its command as `docker run --init` runs it."""
    found = stages((ROOT / "Dockerfile").read_text(), ROOT, folder / "cache")
    image = found[-1]
    port = free_port()
    environment = image.environment | {"PORT": str(port), "HOST": "127.0.0.1"}
    environment |= {"DISK_MIN_FREE_BYTES": "0", "DISK_MIN_FREE_PERCENT": "0"}
    run = Stage(**vars(image) | {"environment": environment})
    root = f"$stages/{image.name}/root"
    script = "\n".join(
        [
            f"debian={shlex.quote(str(debian))}; stages={shlex.quote(str(folder / 'stages'))}",
            build_script(found),
            f"echo built; cd {root}{image.folder}",
            "exec "
            + in_chroot(run, root, ["sh", "-c", f"cd {image.folder}; exec {shlex.join(image.command)}"]),
        ]
    )
    with open(folder / "log", "w+b") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", folder / "log")
            yield Container(f"http://127.0.0.1:{port}", process.pid, image, environment)
        finally:
            family = [
                process.pid,
                *(child.pid for child in psutil.Process(process.pid).children(recursive=True)),
            ]
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            for pid in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + BUILD_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        assert process.poll() is None, log.read_text()[-4000:]
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-4000:])


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        cannot_run("hadolint is not installed: make test installs it")
    done = subprocess.run([str(program), "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_product_and_no_tools_to_build_it(container: Container) -> None:
    found = container.run(["sh", "-c", "ls /usr/bin /opt/chatapi/bin"]).stdout.split()
    assert {"chatapi", "python3"} <= set(found)
    assert not {"gcc", "cc", "make", "pip", "pip3", "git", "curl"} & set(found)
    assert container.run(["ls", "/src"]).returncode != 0


def test_the_product_runs_without_rights(container: Container) -> None:
    found: list[set[int]] = []
    for process in psutil.Process(container.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            found.append(set(process.uids()))
    assert len(found) > 5
    assert set.union(*found) == {int(container.image.user.split(":")[0])}
    for place, is_writable in (("/var/lib/chatapi", True), ("/opt/chatapi", False), ("/etc", False)):
        assert (container.run(["touch", f"{place}/written"]).returncode == 0) is is_writable, place


def test_its_pages_are_served_and_the_health_check_passes(container: Container) -> None:
    page = requests.get(f"{container.url}/accounts/login/", timeout=60)
    sheets = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert sheets
    assert all(requests.get(container.url + path, timeout=60).status_code == 200 for path in sheets)

    image = container.image
    assert image.health, "HEALTHCHECK"
    assert container.run(image.health).returncode == 0
    nothing_listens = {"PORT": str(free_port())}
    elsewhere = Container(container.url, container.pid, image, container.environment | nothing_listens)
    assert elsewhere.run(image.health).returncode != 0


# -- compose.yaml


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_compose_follows_the_specification(compose: dict[str, Any]) -> None:
    try:
        from compose_spec import PyCompose
    except ImportError:
        cannot_run("compose-spec is not installed: make test installs it")
    parsed = PyCompose.from_yaml(yaml.safe_dump(compose))  # its parser knows no merge keys
    assert set(parsed.service_names()) == {"prepare", "web", "worker", "database", "proxy"}


def test_every_command_of_compose_is_one_of_the_image(compose: dict[str, Any], container: Container) -> None:
    for name in ("prepare", "web", "worker"):
        words = compose["services"][name]["command"].split()
        help_of = ["python", "-c", f"import {words[2]}"] if words[0] == "python" else [*words, "--help"]
        done = container.run(help_of)
        assert done.returncode == 0, done.stderr


def test_the_logs_of_all_services_are_rotated(compose: dict[str, Any]) -> None:
    limited = {"driver": "local", "options": {"max-size": "20m", "max-file": "5"}}
    assert {name: service.get("logging") for name, service in compose["services"].items()} == dict.fromkeys(
        compose["services"], limited
    )


def test_compose_gives_the_services_what_they_need(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in ("prepare", "web", "worker"):
        environment = services[name]["environment"]
        assert environment["DATABASE_URL"].startswith("postgresql://chatapi:${DATABASE_PASSWORD")
        assert environment["SITE_URL"].startswith("https://${DOMAIN")
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])
    [pool] = compose["networks"]["default"]["ipam"]["config"]
    assert services["web"]["environment"]["TRUSTED_PROXIES"] == pool["subnet"]
    source, target = services["proxy"]["volumes"][0].split(":")[:2]
    text = (ROOT / source).read_text()
    assert target == "/etc/caddy/Caddyfile"
    assert (
        {"DOMAIN", "CHATAPI"} == set(re.findall(r"\{\$(\w+)", text)) == set(services["proxy"]["environment"])
    )
