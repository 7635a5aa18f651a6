"""nginx, Caddy and HAProxy in front of a port, with the configurations of deploy/.

Only what belongs to a machine is replaced: ports, names, certificates, folders. Each replacement is checked, so a test
cannot run with less than what is shipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.product import ROOT, free_port

SHIPPED = {
    "nginx": "deploy/nginx/chatapi.conf",
    "caddy": "deploy/caddy/Caddyfile",
    "haproxy": "deploy/haproxy/haproxy.cfg",
}
# For a server of a test that is not the product: the requests of HAProxy's health checks would be among the test's.
UNCHECKED = {"nginx": {}, "caddy": {}, "haproxy": {"default-server check ": "default-server "}}
# The file that includes chatapi.conf: one process, not a daemon, as the user that runs the test.
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;  # for a test of a proxy that stores responses
    include {folder}/chatapi.conf;
}}
"""


@dataclass(frozen=True)
class Front:
    """A running proxy with TLS: its port, its URL, the port of HTTP without TLS, and the folder of its logs."""

    port: int
    url: str
    http_port: int
    folder: Path


@contextlib.contextmanager
def proxy(name: str, target: int, folder: Path, edits: Mapping[str, str] | None = None) -> Iterator[int]:
    """Runs the proxy of this name in SHIPPED in front of the port `target`; yields its port. "direct" yields `target`.

    It takes HTTP without TLS, for tests of how bytes are passed on. `edits` replaces more of the configuration.
    """
    if name == "direct":
        yield target
        return
    with running(name, target, folder, None, edits or {}, free_port()) as front:
        yield front.port


@contextlib.contextmanager
def tls_proxy(
    name: str,
    target: int,
    folder: Path,
    certificate: trustme.LeafCert,
    edits: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Front]:
    """Runs the proxy of this name in SHIPPED for https://localhost:<port>, in front of the port `target`."""
    with running(name, target, folder, certificate, edits or {}, port or free_port()) as front:
        yield front


@contextlib.contextmanager
def running(
    name: str,
    target: int,
    folder: Path,
    certificate: trustme.LeafCert | None,
    edits: Mapping[str, str],
    port: int,
) -> Iterator[Front]:
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    assert program, f"{name} is not installed: apt-get install {name}"
    folder.mkdir(parents=True, exist_ok=True)
    if certificate:
        (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
        (folder / "both.pem").write_bytes(
            (folder / "chain.pem").read_bytes() + (folder / "key.pem").read_bytes()
        )
    front = Front(port, f"https://localhost:{port}", free_port(), folder)
    text = replaced(shipped(name), OWN[name](front, target, is_encrypted=certificate is not None))
    text = replaced(text, edits)
    if name == "nginx":
        (folder / "chatapi.conf").write_text(text)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
        command = [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    elif name == "haproxy":
        (folder / "haproxy.cfg").write_text(text)
        command = [program, "-f", str(folder / "haproxy.cfg")]
    else:
        (folder / "Caddyfile").write_text(text)
        command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )  # fmt: skip
    try:
        wait_for_port(port, process, folder / f"{name}.log")
        yield front
    finally:
        process.kill()  # a graceful end would wait for the clients' connections
        process.wait(10)


def shipped(name: str) -> str:
    """Returns the configuration of deploy/ for a name in SHIPPED."""
    return (ROOT / SHIPPED[name]).read_text()


def for_nginx(front: Front, target: int, *, is_encrypted: bool) -> dict[str, str]:
    """Returns what this machine replaces in the shipped configuration."""
    keys = "/etc/letsencrypt/live/chat.example.com"
    tls = " ssl http2" if is_encrypted else ""
    certificate = f"ssl_certificate {front.folder}/chain.pem;" if is_encrypted else ""
    key = f"ssl_certificate_key {front.folder}/key.pem;" if is_encrypted else ""
    return {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{target};",
        "listen 80;": f"listen 127.0.0.1:{front.http_port};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{front.port}{tls};",
        "listen [::]:443 ssl http2;": "",
        "server_name chat.example.com;": "server_name localhost;",
        f"ssl_certificate {keys}/fullchain.pem;": certificate,
        f"ssl_certificate_key {keys}/privkey.pem;": key,
        "/var/log/nginx/": f"{front.folder}/",
    }


def for_caddy(front: Front, target: int, *, is_encrypted: bool) -> dict[str, str]:
    """Returns what this machine replaces in the shipped configuration."""
    site = f"https://localhost:{front.port}" if is_encrypted else f"http://:{front.port}"
    certificate = f"tls {front.folder}/chain.pem {front.folder}/key.pem" if is_encrypted else ""
    redirects = "disable_certs" if is_encrypted else "off"
    return {
        "\n{\n": f"\n{{\nadmin off\nauto_https {redirects}\nhttp_port {front.http_port}\n",
        "\n{$DOMAIN:chat.example.com} {\n": f"\n{site} {{\nbind 127.0.0.1\n{certificate}\n",
        "127.0.0.1:8000": f"127.0.0.1:{target}",
    }


def for_haproxy(front: Front, target: int, *, is_encrypted: bool) -> dict[str, str]:
    """Returns what this machine replaces in the shipped configuration. Both web servers are the same one."""
    tls = f" ssl crt {front.folder}/both.pem" if is_encrypted else ""
    shipped_tls = " ssl crt /etc/haproxy/chat.example.com.pem"
    return {
        "log /dev/log local0": "log stdout format raw local0",
        "    user haproxy\n    group haproxy\n    daemon\n    chroot /var/lib/haproxy\n": "",
        "    stats socket /run/haproxy/admin.sock mode 660 level admin\n": "",
        "bind :80\n": f"bind 127.0.0.1:{front.http_port}\n",
        "    bind [::]:80 v6only\n": "",
        f"    bind [::]:443 v6only{shipped_tls} alpn h2,http/1.1\n": "",
        f"bind :443{shipped_tls} alpn h2,http/1.1": f"bind 127.0.0.1:{front.port}{tls}"
        + " alpn h2,http/1.1" * is_encrypted,
        "10.0.0.5:8000": f"127.0.0.1:{target}",
        "10.0.0.6:8000": f"127.0.0.1:{target}",
    }


OWN = {"nginx": for_nginx, "caddy": for_caddy, "haproxy": for_haproxy}


def replaced(text: str, edits: Mapping[str, str]) -> str:
    for old, new in edits.items():
        assert old in text, f"{old!r} is not in the configuration"
        text = text.replace(old, new)
    return text


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
