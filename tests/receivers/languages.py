"""The receivers of docs/receivers as processes, each in its own language's runtime, exactly as they stand there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.product import ROOT, free_port

HOME = ROOT / "docs" / "receivers"
START_SECONDS = 180  # Java compiles its source first, on two busy cores
# C# is not among them: Debian has no .NET.
LANGUAGES = ("flask", "express", "php", "java", "sheets")
REPLIES = {"sheets": "Noted."}


def reply_to(language: str, text: str) -> str:
    """What the language's receiver answers to a contact's text."""
    return REPLIES.get(language, f"You wrote: {text}")


def command(language: str, port: int) -> list[str]:
    return {
        "flask": [sys.executable, str(HOME / "flask" / "app.py")],
        "express": ["node", str(HOME / "express" / "app.js")],
        "sheets": ["node", str(HOME / "sheets" / "app.js")],
        "php": ["php", "-S", f"127.0.0.1:{port}", str(HOME / "php" / "receiver.php")],
        "java": ["java", "-cp", "/usr/share/java/gson.jar", str(HOME / "java" / "Receiver.java")],
    }[language]


@contextmanager
def running(language: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The receiver's address, once it listens; what it prints goes to a file in `folder`, its scratch place too."""
    port = free_port()
    own = {
        "TMPDIR": str(folder),
        "PHP_CLI_SERVER_WORKERS": "3",
    }
    with serving(command(language, port), port, folder / f"{language}.log", {**own, **environment}) as url:
        yield url


@contextmanager
def serving(words: list[str], port: int, printed: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The URL of a program, once it listens on its PORT; what it prints is in `printed`."""
    assert shutil.which(words[0]), f"{words[0]} is missing; `make debian` as root installs it."
    with printed.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={
                "PATH": os.environ["PATH"],
                "PORT": str(port),
                "NODE_PATH": "/usr/share/nodejs",  # Debian's Express
                **environment,
            },
        )  # fmt: skip
    try:
        wait_until_it_listens(process, port, printed)
        yield f"http://127.0.0.1:{port}/"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own group: PHP has workers
        process.wait(60)


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, printed: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"It did not begin to listen:\n{printed.read_text()}")
