"""nginx with TLS in front of a port, as docs/running.md asks for, or with one fault."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests import proxies
from tests.proxies import RIGHT


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
    certificate = certificate or authority.issue_cert("localhost")
    folder.mkdir(parents=True, exist_ok=True)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    with proxies.nginx(port, target, folder, headers=lines, max_body=max_body, certificate=(chain, key)):
        yield Front(port, f"https://localhost:{port}")
