"""PgBouncer, from Debian, in front of a PostgreSQL server."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from chatapi.runtime.postgres.discovery import NAME, Server, socket_folder
from chatapi.runtime.postgres.system_user import folder_with_owner, prefix
from tests.product import free_port
from tests.proxies import wait_for_port

CONFIG = """
[databases]
* = host={host} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file =
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits, options
logfile = {folder}/pgbouncer.log
[users]
"""


@contextlib.contextmanager
def pgbouncer(folder: Path, server: Server, mode: str, size: int) -> Iterator[int]:
    """Runs it as the user of the server, because only that user can open the server's socket; yields its port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    assert program, "PgBouncer is not installed: apt-get install pgbouncer"
    folder.mkdir()
    account = folder_with_owner(server.path)
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
        folder.chmod(0o755)
    port = free_port()
    config = folder / "pgbouncer.ini"
    config.write_text(
        CONFIG.format(
            folder=folder, host=socket_folder(server.path), user=NAME, port=port, mode=mode, size=size
        )
    )
    config.chmod(0o644)
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*prefix(account, [folder], True, subject="PgBouncer"), program, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
        )
    try:
        wait_for_port(port, process, log)
        yield port
    finally:
        process.kill()
        process.wait(10)
