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
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 70m;
        location / {{
            proxy_pass http://127.0.0.1:{target};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""
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
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    assert program, f"{name} is not installed: apt-get install {name}"
    port = free_port()
    config = folder / f"{name}.conf"
    config.write_text((NGINX if name == "nginx" else CADDY).format(folder=folder, port=port, target=target))
    command = (
        [program, "-c", str(config), "-e", str(folder / "error.log")]
        if name == "nginx"
        else [program, "run", "--config", str(config), "--adapter", "caddyfile"]
    )
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )  # fmt: skip
    try:
        wait_for_port(port, process, folder / f"{name}.log")
        yield port
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
