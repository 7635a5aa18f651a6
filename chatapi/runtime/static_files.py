"""Collects static files, only if their sources have changed, so that later starts are fast."""

import hashlib
import os

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from chatapi import __version__


def sources_digest() -> str:
    """Returns a digest of what would be collected: name, size and time of every file, and the storage."""
    digest = hashlib.sha256(f"{__version__} {settings.STORAGES['staticfiles']}".encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = os.stat(storage.path(path))
            digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect() -> bool:
    """Collect into STATIC_ROOT if anything has changed since the last complete collection; returns whether it did."""
    mark = settings.DATA_DIR / "static.digest"
    wanted = sources_digest()
    if mark.exists() and mark.read_text() == wanted and settings.STATIC_ROOT.is_dir():
        return False
    mark.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    mark.write_text(wanted)
    return True
