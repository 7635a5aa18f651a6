"""`manage.py up`, really: ready, refused, killed, stopped."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.product import ROOT, Product, free_port, manage, product_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture
def own(folder: Path) -> Iterator[Product]:
    """A product to be killed: on a folder of this file's own, so that only its first start is a slow one."""
    with Product(folder) as product:
        yield product


def no_longer_there(processes: list[psutil.Process]) -> bool:
    psutil.wait_procs(processes, timeout=15)
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_it_says_where_it_is_ready_and_how_to_sign_in(product: Product) -> None:
    ready = product.lines.index(f"Ready: http://localhost:{product.port}")
    product.wait_for("Demo login: ") if len(product.lines) == ready + 1 else None
    assert (
        product.lines[ready + 1]
        == f"Demo login: {product.demo['email']}  password: {product.demo['password']}"
    )
    assert requests.get(f"{product.url}/readyz", timeout=10).json() == {"status": "ready"}
    assert requests.get(f"{product.url}/healthz", timeout=10).json() == {"status": "ok"}


def test_a_port_in_use_is_one_sentence_and_nothing_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = manage("up", environment=product_environment(tmp_path / "data", PORT=str(port)))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip() == (
        f"CommandError: Port {port} on 127.0.0.1 cannot be used (Address already in use); stop what listens there, "
        "or use another port: PORT=8001 make run."
    )
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_a_second_one_on_the_same_folder_is_refused(product: Product) -> None:
    assert product.process
    done = manage("up", environment=product.environment | {"PORT": str(free_port())})
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"CommandError: `manage.py up` is already running on {product.data_dir} (process {product.process.pid}); "
        "stop it, or use another folder: DATA_DIR=/your/folder."
    )


def test_a_folder_without_rights_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = manage("up", environment=product_environment(tmp_path / "file", PORT=str(free_port())))
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "CommandError: DATA_DIR: the secret key can be neither read nor made in it: File exists. "
        "Choose a folder that the user who runs this may write: DATA_DIR=/your/folder."
    )


def test_wrong_settings_are_one_sentence_each(tmp_path: Path) -> None:
    done = manage(
        "up", environment=product_environment(tmp_path, PORT="eighty", HOOKS_ALLOW_NETWORKS="10.0.0.0/99")
    )
    assert done.returncode == 1
    first, second = done.stderr.strip().split("\n")
    assert first.startswith("CommandError: PORT: ")
    assert second == (
        "HOOKS_ALLOW_NETWORKS: '10.0.0.0/99' does not appear to be an IPv4 or IPv6 network. "
        "A comma list of networks: HOOKS_ALLOW_NETWORKS=10.0.0.0/8,192.168.1.7/32."
    )
    assert not (tmp_path / "pg").exists()


def test_one_ctrl_c_in_the_terminal_stops_all_of_it(own: Product) -> None:
    assert own.process
    family = own.processes()
    os.killpg(own.process.pid, signal.SIGINT)  # a terminal sends it to the whole foreground group
    assert own.process.wait(20) == 0
    assert no_longer_there(family)
    assert own.lines[-1] == "Stopped."


def test_kill_9_of_it_takes_everything_along_and_the_next_start_works(own: Product, folder: Path) -> None:
    assert own.process
    family = own.processes()
    own.process.kill()
    own.process.wait()
    assert no_longer_there(family)
    with Product(folder) as again:
        assert requests.get(f"{again.url}/healthz", timeout=10).status_code == 200


def test_kill_9_of_everything_and_the_next_start_works(own: Product, folder: Path) -> None:
    for process in own.processes():
        process.kill()
    assert own.process
    own.process.wait()
    with Product(folder) as again:
        assert requests.get(f"{again.url}/healthz", timeout=10).status_code == 200


def test_a_part_that_dies_is_started_again(own: Product) -> None:
    web, worker = own.part("chatapi.runtime.web"), own.part("manage.py", "worker")
    database = next(p for p in own.processes() if p.name() == "postgres")
    cluster = worker.children(recursive=True)
    web.kill()
    own.wait_for("The web server was killed (signal 9); starting it again", 20)
    worker.kill()
    own.wait_for("The worker was killed (signal 9); starting it again", 20)
    assert no_longer_there(cluster)
    database.kill()
    own.wait_for("PostgreSQL ended by itself; starting it again.", 20)
    own.wait_for_ready()


@pytest.mark.parametrize("module", ["django.utils.version", "environs", "structlog", "django.db.models"])
def test_ctrl_c_while_it_is_loaded_is_taken_in_silence(tmp_path: Path, module: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "manage.py", "up"], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
        env=product_environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as started:  # fmt: skip
        assert started.stderr
        lines = iter(started.stderr.readline, "")  # one for each module that is loaded
        assert any(line.split("|")[-1].strip() == module for line in lines)
        started.send_signal(signal.SIGINT)
        said = "".join(line for line in lines if not line.startswith("import time:"))
        assert (started.wait(20), said.strip()) == (130, "Stopped.")
