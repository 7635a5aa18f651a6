"""A real site with messages, hooks and files, and the commands that back it up and restore it."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from base64 import b64encode
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import requests

from chatapi.runtime.postgres import server as postgres_server
from chatapi.runtime.postgres.discovery import NAME, socket_folder
from tests.product import Product, manage, product_environment

ANN = "17680561234@c.us"
PASSPHRASE = "correct horse battery staple"
Done = subprocess.CompletedProcess[str]


def send(product: Product, method: str, **arguments: Any) -> Any:
    """Calls a method of the demo instance's API."""
    instance = product.demo["instances"][0]
    url = f"{product.url}/instance{instance['id']}/{method}?token={instance['token']}"
    answer = requests.post(url, json={"chatId": ANN, **arguments}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def send_file(product: Product, content: bytes) -> Any:
    uri = f"data:application/octet-stream;base64,{b64encode(content).decode()}"
    return send(product, "sendFile", body=uri, filename="file.bin")


class Load:
    """Sends messages, and files of different content, from two threads during the block."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.over = threading.Event()
        self.sent = 0
        self.errors: list[BaseException] = []
        self.threads = [threading.Thread(target=self.run, args=[number]) for number in range(2)]

    def run(self, thread: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            try:
                send(self.product, "sendMessage", body=f"message {number} of {thread}")
                send_file(self.product, f"file {number} of {thread}".encode() * 1000)
            except (AssertionError, requests.RequestException) as error:
                self.errors.append(error)
            self.sent += 2

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def back_up(data_dir: Path, target: Path, *words: str, **environment: str) -> Done:
    return manage("backup", str(target), *words, environment=product_environment(data_dir, **environment))


def restore(data_dir: Path, source: Path, *words: str, **environment: str) -> Done:
    return manage("restore", str(source), *words, environment=product_environment(data_dir, **environment))


def rows(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    """The result of a query on the site of DATA_DIR, which need not run."""
    with (
        postgres_server.running(data_dir / "pg"),
        psycopg.connect(host=str(socket_folder(data_dir / "pg")), user=NAME, dbname=NAME) as session,
    ):
        return session.execute(query).fetchall()


def execute(data_dir: Path, statement: str) -> None:
    with (
        postgres_server.running(data_dir / "pg"),
        psycopg.connect(host=str(socket_folder(data_dir / "pg")), user=NAME, dbname=NAME) as session,
    ):
        session.execute(statement)


def lost_files(data_dir: Path) -> list[str]:
    """The files that the database refers to and that DATA_DIR/media does not have with their content."""
    stored = rows(data_dir, "SELECT path, digest FROM instances_storedfile WHERE is_stored")
    assert stored
    return [path for path, digest in stored if sum_of(data_dir / "media" / path) != digest]


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"


def files_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below the folder, but those of PostgreSQL that every start changes."""
    changing = ("postmaster.opts", "pg_stat/", "pg_wal/", "global/pg_control", "pg.log", "up.lock")
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {str(path.relative_to(folder)): path for path in found}
    return {name: sum_of(path) for name, path in names.items() if not any(word in name for word in changing)}


def partial_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".partial")]


def trial_folders(data_dir: Path) -> list[str]:
    return [path.name for path in data_dir.iterdir() if path.name.startswith(("backup-trial", "restored"))]
