"""Static files, collected only when their sources changed: the second start must not pay for the first one."""

import hashlib
import os

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from chatapi import __version__


def sources() -> str:
    """A digest of what would be collected: every file's name, size and time, and how it is stored."""
    digest = hashlib.sha256(f"{__version__} {settings.STORAGES['staticfiles']}".encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = os.stat(storage.path(path))
            digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect() -> bool:
    """Fills STATIC_ROOT if anything changed since it was last filled to the end; whether it had to."""
    mark = settings.DATA_DIR / "static.digest"
    wanted = sources()
    if mark.exists() and mark.read_text() == wanted and settings.STATIC_ROOT.is_dir():
        return False
    mark.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    mark.write_text(wanted)
    return True
