"""nginx with TLS in front of a port, as docs/running.md asks for, or with one fault."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.proxies import wait_for_port

CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/chain.pem;
        ssl_certificate_key {folder}/key.pem;
        client_max_body_size {max_body};
        location / {{
            proxy_pass http://127.0.0.1:{target};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {lines}
        }}
    }}
}}
"""
HOST = "proxy_set_header Host $host;"
ADDRESS = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
SCHEME = "proxy_set_header X-Forwarded-Proto $scheme;"
RIGHT = (HOST, ADDRESS, SCHEME)


@dataclass(frozen=True)
class Front:
    """A running proxy."""

    port: int
    url: str


@contextlib.contextmanager
def nginx(
    folder: Path,
    port: int,
    target: int,
    authority: trustme.CA,
    *,
    lines: tuple[str, ...] = RIGHT,
    max_body: str = "70m",
    certificate: trustme.LeafCert | None = None,
) -> Iterator[Front]:
    """Runs nginx for https://localhost:<port>, with a certificate of the authority."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "nginx is not installed: apt-get install nginx-light"
    certificate = certificate or authority.issue_cert("localhost")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    config = CONFIG.format(folder=folder, port=port, target=target, max_body=max_body, lines="\n".join(lines))
    (folder / "nginx.conf").write_text(config)
    with open(folder / "nginx.log", "wb") as log:
        process = subprocess.Popen(
            [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"HOME": str(folder)},
        )  # fmt: skip
    try:
        wait_for_port(port, process, folder / "nginx.log")
        yield Front(port, f"https://localhost:{port}")
    finally:
        process.kill()
        process.wait(10)
