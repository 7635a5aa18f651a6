"""The wheel: what is in it, and that the product runs from it, outside the clone."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from email.parser import HeaderParser
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
import requests

from chatapi import __version__
from hooks.models import Role
from tests.faults.product_instance import pids_of_role
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import READY_SECONDS, ROOT, Product, free_port, product_environment
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)

MAX_MB = 300.0  # docs/install.md promises it
# Where the files of these folders are in the wheel.
MOVED = ("deploy/", "docs/openapi.yaml", "docs/receivers/", "static/", "templates/")
PACKAGES = ("accounts/", "chatapi/", "hooks/", "instances/", "testing_tools/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the clone, as `pip wheel` does it: with the backend of pyproject.toml in an environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--wheel-dir", str(folder), str(ROOT)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel. The packages that it requires are those of the tests' environment."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-index", str(wheel)],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "packages_of_tests.pth").write_text(sysconfig.get_path("purelib"))
    return folder


@pytest.fixture(scope="module")
def started(
    environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Product, dict[str, float]]]:
    """`chatapi up` of that environment, in an empty folder, and its memory at rest."""
    folder = tmp_path_factory.mktemp("elsewhere")
    python, program = str(environment / "bin" / "python"), str(environment / "bin" / "chatapi")
    with Product(folder / "data", python=(python,), program=program, folder=folder) as product:
        for role in (Role.DISPATCH, Role.OUTGOING):
            wait_until(partial(pids_of_role, product.environment, role), f"{role} runs", READY_SECONDS)
        yield product, memory(product)  # before the first page


@pytest.fixture(scope="module")
def installed(started: tuple[Product, dict[str, float]]) -> Product:
    return started[0]


def memory(product: Product) -> dict[str, float]:
    """Returns the memory of each process in MB, PostgreSQL's left out. What processes share is divided among them."""
    found: dict[str, float] = {}
    for process in product.processes():
        with suppress(psutil.NoSuchProcess):  # it has ended since
            if process.name() != "postgres":
                words = " ".join(process.cmdline()[1:])
                found[f"{process.pid} {process.name()}: {words}"] = process.memory_full_info().pss / 1e6
    return found


def test_at_rest_the_product_takes_no_more_memory_than_documented(
    started: tuple[Product, dict[str, float]],
) -> None:
    _, used = started
    print("\n".join(f"{mb:6.1f} MB  {name}" for name, mb in used.items()), sum(used.values()))
    assert sum(used.values()) < MAX_MB, used


def test_everything_that_the_product_reads_is_in_the_wheel(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    wanted = {f"chatapi/files/{name}" for name in tracked if name.startswith(MOVED)}
    wanted |= {name for name in tracked if name.startswith(PACKAGES)}
    wanted = {name for name in wanted if (ROOT / name.removeprefix("chatapi/files/")).exists()}

    names = set(zipfile.ZipFile(wheel).namelist())

    meta = f"chatapi-{__version__}.dist-info/"
    licences = {"LICENSE", *(str(path.relative_to(ROOT)) for path in ROOT.glob("static/vendor/*/LICENSE"))}
    assert len(licences) > 4
    assert {name for name in names if not name.startswith(meta)} == wanted
    assert {meta + "licenses/" + name for name in licences} <= names
    assert {"hooks/migrations/0001_initial.py", "chatapi/files/templates/404.html"} <= wanted


def test_it_requires_the_versions_of_the_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"chatapi-{__version__}.dist-info/METADATA").decode()
    required = HeaderParser().parsestr(text).get_all("Requires-Dist") or []
    pins = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert sorted(required) == sorted(f"{name}=={number}" for name, number in pins)
    assert {name: version(name) for name, _ in pins} == dict(pins)


def test_the_product_runs_from_it_and_delivers_a_hook(installed: Product, environment: Path) -> None:
    programs: list[Path] = []
    for process in installed.processes():
        with suppress(psutil.NoSuchProcess):  # it has ended since
            programs += map(Path, process.cmdline()[:1])
    code = {
        program.parts[: len(environment.parts)] == environment.parts
        for program in programs
        if program.name.startswith("python")
    }
    assert code == {True}
    [instance] = installed.demo["instances"]
    query = {"token": instance["token"]}
    with Receiver() as receiver:
        assert requests.get(
            f"{installed.url}/instance{instance['id']}/webhook",
            params=query | {"webhookUrl": receiver.url},
            timeout=60,
        ).ok
        sent = requests.post(
            f"{installed.url}/api/v1/instances/{instance['id']}/sandbox/messages/",
            json={"from": "17680561234", "name": "Ann", "type": "chat", "body": "hello"},
            headers={"Authorization": f"Bearer {installed.demo['uid']}"}, timeout=60,
        )  # fmt: skip
        assert sent.status_code == 201, sent.text
        assert receiver.wait_for(1, seconds=60)[0].json()["messages"][0]["body"] == "hello"


def test_its_pages_and_static_files_are_served(installed: Product) -> None:
    page = requests.get(f"{installed.url}/accounts/login/", timeout=60)
    assert page.status_code == 200
    sheets = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert sheets
    for path in sheets:
        assert requests.get(installed.url + path, timeout=60).status_code == 200, path
    assert requests.get(f"{installed.url}/api/docs/", timeout=60).status_code in (200, 302)


def test_doctor_finds_the_processes_and_its_files(
    installed: Product, environment: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [str(environment / "bin" / "chatapi"), "doctor", "--json"],
        cwd=tmp_path, env=installed.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert '"static-files"' in done.stdout


@pytest.mark.parametrize("is_root", [True, False])
def test_the_default_data_folder_is_not_in_the_environment(
    environment: Path, tmp_path: Path, is_root: bool
) -> None:
    code = (
        "import os\n"
        + ("" if is_root else "os.getuid = lambda: 1000\n")
        + ("from chatapi.settings import default_data_dir; print(default_data_dir())")
    )
    done = subprocess.run(
        [str(environment / "bin" / "python"), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=product_environment(tmp_path / "data", HOME="/home/ann", PORT=str(free_port())),
    )  # fmt: skip
    assert done.stdout.strip() == ("/var/lib/chatapi" if is_root else "~/.local/share/chatapi")
