"""`manage.py up`, really: ready, refused, killed, stopped."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from chatapi.runtime.supervision import own_url
from tests.faults import victims
from tests.faults.product_instance import kill
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import (
    READY_SECONDS,
    ROOT,
    STOP_SECONDS,
    Product,
    free_port,
    manage,
    product_environment,
    still_running,
)

pytestmark = pytest.mark.timeout(2 * READY_SECONDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture
def own(folder: Path) -> Iterator[Product]:
    """A product to be killed: on a folder of this file's own, so that only its first start is a slow one."""
    with Product(folder) as product:
        yield product


def test_it_says_where_it_is_ready_and_how_to_sign_in(product: Product) -> None:
    ready = product.lines.index(f"Ready: http://localhost:{product.port}")

    def logins() -> list[str]:
        """Printed after it; a line of another process may be between the two."""
        return [line for line in product.lines[ready:] if line.startswith("Demo login: ")]

    assert wait_until(logins, "the login is printed")[0] == (
        f"Demo login: {product.demo['email']}  password: {product.demo['password']}"
    )
    product.wait_for_ready()  # the test before may have killed a part
    assert requests.get(f"{product.url}/readyz", timeout=60).json() == {"status": "ready"}
    assert requests.get(f"{product.url}/healthz", timeout=60).json() == {"status": "ok"}


def loaded_packages(product: Product) -> set[str]:
    """The packages that the supervisor has loaded, of those with compiled modules, which all large ones have."""
    assert product.process
    loaded = Path(f"/proc/{product.process.pid}/maps").read_text()
    assert product.part("manage.py", "up").pid == product.process.pid
    assert "/lib-dynload/" in loaded or "libpython" in loaded or "python3" in loaded
    return set(re.findall(r"/site-packages/(\w+)", loaded))


# which the supervisor loads when it ends what a dead part has left
PSUTIL = {"psutil"}


def test_the_supervisor_has_loaded_no_package(product: Product) -> None:
    """Django, cryptography and a database driver would take 48 MB, in a process that uses none of them."""
    assert loaded_packages(product) <= PSUTIL


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
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["secret_key", "secrets_key"]


def test_a_second_one_on_the_same_folder_is_refused(product: Product) -> None:
    assert product.process
    done = manage("up", environment=product.environment | {"PORT": str(free_port())})
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        f"CommandError: `manage.py up` is already running on {product.data_dir} (process {product.process.pid}); "
        "stop it, or use another folder: DATA_DIR=/your/folder."
    )


def test_a_folder_without_rights_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = manage("up", environment=product_environment(tmp_path / "file", PORT=str(free_port())))
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "CommandError: DATA_DIR: the secret key in it can be neither read nor created: File exists. "
        "Use a folder that the user who runs this can write to: DATA_DIR=/your/folder."
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
        "A comma-separated list of networks: HOOKS_ALLOW_NETWORKS=10.0.0.0/8,192.168.1.7/32."
    )
    assert not (tmp_path / "pg").exists()


def test_one_ctrl_c_in_the_terminal_stops_all_of_it(own: Product) -> None:
    assert own.process
    family = own.processes()
    os.killpg(own.process.pid, signal.SIGINT)  # a terminal sends it to the whole foreground group
    assert own.process.wait(STOP_SECONDS) == 0
    assert still_running(family) == []
    own.wait_for("Stopped.")
    assert own.lines[-1] == "Stopped."


def test_kill_9_of_it_takes_everything_along_and_the_next_start_works(own: Product, folder: Path) -> None:
    assert own.process
    family = own.processes()
    own.process.kill()
    own.process.wait()
    assert still_running(family) == []
    with Product(folder) as again:
        assert requests.get(f"{again.url}/healthz", timeout=60).status_code == 200


def test_kill_9_of_everything_and_the_next_start_works(own: Product, folder: Path) -> None:
    kill(own.processes())
    assert own.process
    own.process.wait()
    with Product(folder) as again:
        assert requests.get(f"{again.url}/healthz", timeout=60).status_code == 200


def test_a_part_that_dies_is_started_again(own: Product) -> None:
    web, worker = own.part("chatapi.runtime.web"), own.part("manage.py", "worker")
    cluster = worker.children(recursive=True)
    web.kill()
    own.wait_for("The web server was killed (signal 9); restarting")
    worker.kill()
    own.wait_for("The worker was killed (signal 9); restarting")
    assert still_running(cluster) == []
    victims.database(own).kill()
    own.wait_for("PostgreSQL ended unexpectedly; restarting it.")
    own.wait_for_ready()
    assert loaded_packages(own) == PSUTIL


# Runs the rest of its command line with these signals ignored, as a script's `nohup … &` does with SIGINT.
IGNORING = """
import os, signal, sys
for name in sys.argv[1].split(","):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def ignoring(*signals: str) -> list[str]:
    """The start of a command line of Python's whose process inherits these signals as ignored."""
    return [sys.executable, "-c", IGNORING, ",".join(signals)]


@pytest.mark.parametrize("python", [[sys.executable], ignoring("SIGINT", "SIGHUP")], ids=["plain", "nohup &"])
@pytest.mark.parametrize("module", ["django.utils.version", "environs", "structlog", "django.db.models"])
def test_ctrl_c_while_it_is_loaded_is_taken_in_silence(
    tmp_path: Path, module: str, python: list[str]
) -> None:
    with subprocess.Popen(
        [*python, "-X", "importtime", "manage.py", "up"], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
        env=product_environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as started:  # fmt: skip
        assert started.stderr
        lines = iter(started.stderr.readline, "")  # one for each module that is loaded
        assert any(line.split("|")[-1].strip() == module for line in lines)
        started.send_signal(signal.SIGINT)
        said = "".join(line for line in lines if not line.startswith("import time:"))
        assert (started.wait(STOP_SECONDS), said.strip()) == (130, "Stopped.")


def ignored_signals(process: psutil.Process) -> set[str]:
    """The names of the signals that the process ignores."""
    [mask] = re.findall(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return {number.name for number in signal.Signals if int(mask, 16) >> (number - 1) & 1}


def test_signals_that_the_parent_ignores_stop_it_all_the_same(folder: Path) -> None:
    ignored = ("SIGINT", "SIGTERM", "SIGCHLD", "SIGHUP", "SIGPIPE")
    with Product(folder, python=ignoring(*ignored)) as product:
        family = product.processes()
        cluster = product.cluster()
        up, worker, web = (product.part(word) for word in ("up", "worker", "chatapi.runtime.web"))
        assert [ignored_signals(part) & {"SIGINT", "SIGTERM", "SIGCHLD"} for part in (up, worker, web)] == [
            set()
        ] * 3
        assert ignored_signals(cluster) & {"SIGTERM", "SIGCHLD"} == set()
        assert "SIGHUP" in ignored_signals(up)  # nohup keeps its effect
        product.part("chatapi.runtime.web").terminate()
        product.wait_for("The web server ended (code 0); restarting")
        product.wait_for_ready()
        assert product.stop(signal.SIGINT) == 0
        assert still_running(family) == []
        assert product.lines[-1] == "Stopped."


def test_several_web_processes_share_the_port(folder: Path) -> None:
    with Product(folder, WEB_PROCESSES="2") as product:
        main = product.part("chatapi.runtime.web")
        first, _second = main.children()
        first.kill()
        product.wait_for("A web process was killed (signal 9); restarting")
        for _ in range(10):
            assert requests.get(f"{product.url}/healthz", timeout=60).status_code == 200
        family = product.processes()
        assert product.stop() == 0
        assert still_running(family) == []


def test_it_is_ready_at_the_address_that_host_names(folder: Path) -> None:
    with Product(folder, HOST="127.0.0.2") as product:  # waits for "Ready"
        assert requests.get(f"http://127.0.0.2:{product.port}/healthz", timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("2001:db8::1", "http://[2001:db8::1]:80"),
        ("192.0.2.1", "http://192.0.2.1:80"),
    ],
)
def test_the_own_url_is_at_the_address_it_listens_at(host: str, url: str) -> None:
    assert own_url(host, 80) == url
