"""A real XMPP server, Debian's Prosody, on free ports of loopback, with its data in a folder of the test.

It has what public servers have: stream management (XEP-0198), carbons (0280), archives of people and of rooms
(0313), rooms (0045), files (0363), PEP, blocking, pings and client state. All modules are Prosody's own, so none of
the package prosody-modules is needed. Connections to loopback may stay without TLS; the certificate is of `ca`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import trustme

from chatapi.runtime.postgres import system_user
from tests.product import free_port
from tests.servers.process import DIE_WITH_TESTS, ServerProcess

DOMAIN = "localhost"
ROOMS, UPLOADS = f"rooms.{DOMAIN}", f"uploads.{DOMAIN}"
ITERATIONS = 4096  # the fewest that SCRAM allows, so that thousands of accounts sign in at once
SALT = "a salt for the passwords of tests"

OPENING = (
    f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    f" to='{DOMAIN}' version='1.0'>"
)
SETTINGS = """
data_path = {data}
log = {{ {{ levels = {{ min = {log_level} }}; to = "file"; filename = {log} }} }}
modules_enabled = {{
    "roster"; "saslauth"; "tls"; "disco"; "pep"; "smacks"; "carbons"; "mam"; "blocklist"; "ping"; "csi"; "private";
    "vcard4"; "vcard_legacy"; "bookmarks"; "user_account_management"; "time"; "uptime"; "version";
}}
modules_disabled = {{ "s2s" }}
authentication = "internal_hashed"
password_hash = "SHA-256"
default_iteration_count = {iterations}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = false
http_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {http_port} }}
https_ports = {{ }}
certificates = {certificates}
archive_expires_after = "never"
muc_log_expires_after = "never"
storage_archive_item_limit = 10000000
{more}
VirtualHost {domain}

Component {rooms} "muc"
    modules_enabled = {{ "muc_mam" }}
    muc_room_locking = false
    muc_room_default_persistent = true

Component {uploads} "http_file_share"
    http_host = "127.0.0.1"
    http_external_url = {http_url}
    http_file_share_size_limit = 104857600
    http_file_share_daily_quota = 10737418240
"""


class Prosody(ServerProcess):
    """`with Prosody(folder) as prosody:` starts it, and waits until it accepts streams.

    port      of clients, with STARTTLS for those that want it
    tls_port  of clients that begin with TLS
    ca        the authority of its certificate

    `stop` closes each stream with `system-shutdown`.
    """

    name, start_seconds = "Prosody", 120.0  # it takes half a second of a core

    def __init__(self, folder: Path, *, more: str = "", log_level: str = "warn") -> None:
        """`more` are further lines of the global section of its configuration."""
        assert shutil.which("prosody"), "Prosody is not installed: run `make debian`."
        super().__init__(folder)
        self.data = folder / "data"
        self.port, self.tls_port, self.http_port = (free_port() for _ in range(3))
        self.http_url = f"http://127.0.0.1:{self.http_port}/"
        self.more, self.log_level = more, log_level
        self.ca = trustme.CA()
        self.numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)
        self.owner = system_user.folder_with_owner(self.data)
        (self.data / "data").mkdir()
        self.give(self.data / "data")
        self.write_configuration()

    def write_configuration(self) -> None:
        issued = self.ca.issue_cert(DOMAIN, ROOMS, UPLOADS)
        certificates = self.folder / "certificates"
        certificates.mkdir()
        issued.private_key_pem.write_to_path(certificates / f"{DOMAIN}.key")
        (certificates / f"{DOMAIN}.crt").write_bytes(
            b"".join(each.bytes() for each in issued.cert_chain_pems)
        )
        text = SETTINGS.format(
            data=lua(self.data / "data"),
            log=lua(self.log),
            log_level=lua(self.log_level),
            iterations=ITERATIONS,
            port=self.port,
            tls_port=self.tls_port,
            http_port=self.http_port,
            http_url=lua(self.http_url),
            domain=lua(DOMAIN),
            rooms=lua(ROOMS),
            uploads=lua(UPLOADS),
            certificates=lua(certificates),
            more=self.more,
        )
        self.configuration.write_text(text)

    @property
    def configuration(self) -> Path:
        return self.folder / "prosody.cfg.lua"

    @property
    def log(self) -> Path:
        return self.data / "prosody.log"

    def give(self, path: Path) -> None:
        """Prosody refuses to run as root: what it writes belongs to the same user as the embedded PostgreSQL."""
        if self.owner is not None:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def command(self) -> list[str]:
        as_user = system_user.prefix(
            self.owner, [self.folder, self.data], die_with_parent=False, subject="Prosody"
        )
        return [*as_user, *DIE_WITH_TESTS, "prosody", "-F", "--config", str(self.configuration)]

    def responds(self) -> bool:
        """Returns whether it accepts a stream."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as stream:
            stream.sendall(OPENING.encode())
            received = b""
            while more := stream.recv(65536):
                received += more
                if b"</stream:features>" in received:
                    return True
        return False

    def register(self, user: str, password: str = "a password") -> Account:
        """Returns a new account; a number follows the name, so it may be used again."""
        account = Account(self, f"{user}-{next(self.numbers)}", password)
        self.set_password(account.user, password)
        return account

    def set_password(self, user: str, password: str) -> None:
        """Write the account's file: Prosody reads it at each sign-in. Streams that are open stay open."""
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT.encode(), ITERATIONS)
        stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).hexdigest()
        values: dict[str, Any] = {
            "stored_key": stored,
            "server_key": hmac.digest(salted, b"Server Key", "sha256").hex(),
            "salt": SALT,
            "iteration_count": ITERATIONS,
        }
        fields = (
            f"[{lua(name)}] = {value if isinstance(value, int) else lua(value)};"
            for name, value in values.items()
        )
        self.write_account(user, "return { " + " ".join(fields) + " };\n")

    def write_account(self, user: str, text: str) -> None:
        folder = self.data / "data"
        for name in (DOMAIN, "accounts"):
            folder /= name
            if not folder.is_dir():
                folder.mkdir()
                self.give(folder)
        file = folder / f"{user.replace('-', '%2d')}.dat"
        new = file.with_suffix(".new")
        new.write_text(text)
        self.give(new)
        new.replace(file)


class Account:
    """An account at the server: what a person, or the owner of an instance, enters in a client."""

    def __init__(self, prosody: Prosody, user: str, password: str) -> None:
        self.prosody, self.user, self.password = prosody, user, password
        self.jid = f"{user}@{DOMAIN}"

    def __repr__(self) -> str:
        return self.jid


def lua(value: object) -> str:
    """Returns a Lua string."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
