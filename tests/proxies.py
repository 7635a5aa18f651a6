"""Real nginx and Caddy in front of a port, as their documentation sets them up."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.product import free_port

# One process, not a daemon, as the user that runs the test. Its log, temporary files and pid are in `folder`.
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;
    server {{
        listen 127.0.0.1:{port}{tls};
        client_max_body_size {max_body};
        location / {{
            proxy_pass http://127.0.0.1:{target};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {headers}
        }}
    }}
}}
"""
HOST = "proxy_set_header Host $host;"
ADDRESS = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
SCHEME = "proxy_set_header X-Forwarded-Proto $scheme;"
RIGHT = (HOST, ADDRESS, SCHEME)
CADDY = """
{{
    admin off
    auto_https off
}}
:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{target}
}}
"""


@contextlib.contextmanager
def proxy(name: str, target: int, folder: Path) -> Iterator[int]:
    """Runs "nginx" or "caddy" in front of the port `target`; yields its port. "direct" yields `target`."""
    if name == "direct":
        yield target
        return
    port = free_port()
    if name == "nginx":
        with nginx(port, target, folder):
            yield port
        return
    config = folder / f"{name}.conf"
    config.write_text(CADDY.format(port=port, target=target))
    command = [program_of(name), "run", "--config", str(config), "--adapter", "caddyfile"]
    with running(command, port, folder / f"{name}.log"):
        yield port


@contextlib.contextmanager
def nginx(
    port: int,
    target: int,
    folder: Path,
    *,
    headers: tuple[str, ...] = RIGHT,
    max_body: str = "70m",
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[None]:
    """Runs nginx at `port`, in front of the port `target`; with `certificate` (its chain and its key), for https."""
    config = folder / "nginx.conf"
    tls = " ssl; ssl_certificate {}; ssl_certificate_key {}".format(*certificate) if certificate else ""
    config.write_text(
        NGINX.format(
            folder=folder, port=port, target=target, tls=tls, max_body=max_body, headers="\n".join(headers)
        )
    )
    command = [program_of("nginx"), "-c", str(config), "-e", str(folder / "error.log")]
    with running(command, port, folder / "nginx.log"):
        yield


def program_of(name: str) -> str:
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    assert program, f"{name} is not installed: apt-get install {name}"
    return program


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Runs a proxy for the block, which starts when its port accepts connections."""
    home = str(log.parent)
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=os.environ | {"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home},
        )  # fmt: skip
    try:
        wait_for_port(port, process, log)
        yield
    finally:
        process.kill()  # a graceful end would wait for the clients' connections
        process.wait(10)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
