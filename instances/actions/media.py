"""The files that messages carry: stored, fetched once an hour where that is wanted, and dropped when they are over."""

import hashlib
import logging
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from instances.media import fetch, sources
from instances.media.kinds import HEAD, WrongFile, identify_file
from instances.models import Instance, Media, media_expiry, new_media_key

log = logging.getLogger(__name__)

CACHED = timedelta(hours=1)
KEY_LENGTH = len(new_media_key())
BATCH = 500  # files dropped in one go


def storage() -> Storage:
    """DATA_DIR/media, or the bucket (settings.MEDIA_STORAGE). In it a folder for each instance, by its key."""
    return storages["media"]


def store_media(
    instance: Instance,
    *,
    content: IO[bytes],
    filename: str,
    content_type: str = "",
    size: int | None = None,
    source: str = "",
    only: str = "",
) -> Media:
    """Keeps a file, which is read from where it stands; `size` in bytes where it is known. Raises WrongFile.

    `only` "audio" or "image" takes no other.

    The row comes before the file: a crash between the two leaves a row that retention takes, never a file that
    nobody knows. So it belongs outside of any transaction.
    """
    start = content.tell()
    head = content.read(HEAD)
    if size is None:
        content.seek(0, 2)
        size = content.tell() - start
    content.seek(start)
    if not head:
        raise WrongFile("the file is empty.")
    kind = identify_file(filename, content_type, head)
    if only and not kind.content_type.startswith(f"{only}/"):
        raise WrongFile(f"it takes {only}, and this is {kind.content_type}.")
    check_quota(instance, size)
    key = new_media_key()
    media = Media.objects.create(
        instance=instance,
        key=key,
        filename=kind.filename,
        extension=kind.extension,
        content_type=kind.content_type,
        size=size,
        path=f"{instance.pk}/{key}",
        source=source,
    )
    try:
        storage().save(media.path, File(content))
    except BaseException:
        media.delete()
        raise
    return media


def check_quota(instance: Instance, size: int) -> None:
    """Raises WrongFile where a file of `size` bytes would be more than the instance may keep (MEDIA_QUOTA_BYTES)."""
    kept = Media.objects.filter(instance=instance).aggregate(kept=Sum("size"))["kept"] or 0
    if kept + size > settings.MEDIA_QUOTA_BYTES:
        raise WrongFile(
            f"with it the instance's files would have more than {filesizeformat(settings.MEDIA_QUOTA_BYTES)}; "
            "each is kept for 30 days after it was last sent, and makes room then."
        )


def take_media(
    instance: Instance, given: UploadedFile | str, *, filename: str, cached: bool = False, only: str = ""
) -> Media:
    """Keeps what a call brings: an upload, a data URI, or the content of an address, which is fetched here.

    With `cached`, what this instance fetched from the same address under the same name within the last hour is
    taken again, and nothing is fetched; without, it is always fetched. Raises WrongFile.
    """
    if not sources.is_http_url(given):
        return keep(instance, given, filename, only=only)
    if own := own_file(str(given)):
        with storage().open(own.path) as file:
            return store_media(
                instance, content=file, filename=filename, content_type=own.content_type, only=only
            )
    if not cached:
        check_quota(instance, 1)  # before anything is fetched for nothing
    source = hashlib.sha256(f"{given}\n{filename}".encode(errors="replace")).hexdigest()
    if cached and (media := fetched_before(instance, source)):
        return keep_longer(media)
    try:
        with fetch.fetch_slot(instance.pk):
            return keep(instance, given, filename, source=source, only=only)
    except fetch.FetchFailed as error:
        raise WrongFile(str(error)) from None


def keep(
    instance: Instance, given: UploadedFile | str, filename: str, *, source: str = "", only: str = ""
) -> Media:
    with sources.open_content(given) as content:
        return store_media(
            instance, content=content.file, filename=filename, content_type=content.content_type,
            size=content.size, source=source, only=only,
        )  # fmt: skip


def own_file(url: str) -> Media | None:
    """The file that this site itself serves at that link; it is not asked for it by the network."""
    key, _, name = url.strip().removeprefix(settings.SITE_URL + "/media/").partition("/")
    found = (
        Media.objects.filter(key=key, expires_at__gt=timezone.now()).first()
        if len(key) == KEY_LENGTH
        else None
    )
    return found if found and found.name_in_link == name and storage().exists(found.path) else None


def fetched_before(instance: Instance, source: str) -> Media | None:
    """What the instance has fetched from there within CACHED."""
    found = Media.objects.filter(instance=instance, source=source, created_at__gt=timezone.now() - CACHED)
    return found.order_by("-created_at").first()


def keep_longer(media: Media) -> Media:
    """The file is sent once more, so its 30 days begin anew. Raises WrongFile if it is gone meanwhile."""
    media.expires_at = media_expiry()
    if not Media.objects.filter(pk=media.pk).update(expires_at=media.expires_at):
        raise WrongFile("the file is no longer kept.")
    return media


def drop_old() -> str:
    """Drops the files that are over, and those of instances that are gone; every hour."""
    over = 0
    while batch := list(Media.objects.filter(expires_at__lte=timezone.now()).order_by("expires_at")[:BATCH]):
        for media in batch:
            over += drop(media)
    try:
        folders, _ = storage().listdir("")
    except FileNotFoundError:  # nothing has ever been kept
        folders = []
    gone = {folder for folder in folders if folder.isdigit()} - {
        str(pk) for pk in Instance.objects.values_list("pk", flat=True)
    }
    left = sum(drop_folder(folder) for folder in gone)
    return f"{over} over, {left} of deleted instances"


@transaction.atomic
def drop(media: Media) -> int:
    """The row, and then its file, unless a call has just made it stay; 1 if it is dropped."""
    gone, _ = Media.objects.filter(pk=media.pk, expires_at__lte=timezone.now()).delete()
    if gone:
        storage().delete(media.path)
    return 1 if gone else 0


def drop_folder(folder: str) -> int:
    _, names = storage().listdir(folder)
    for name in names:
        storage().delete(f"{folder}/{name}")
    storage().delete(folder)
    return len(names)
