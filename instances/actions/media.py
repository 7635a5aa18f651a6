"""The files of messages: stored, fetched from URLs (cached for an hour on request), and deleted when they expire."""

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
from django_q.tasks import async_task

from instances.media import fetch, sources
from instances.media.kinds import HEAD, WrongFile, identify_file
from instances.models import Instance, Media, MessageType, media_expiry, new_media_key

log = logging.getLogger(__name__)

CACHE_TIME = timedelta(hours=1)
KEY_LENGTH = len(new_media_key())
BATCH = 500  # files deleted in one pass


def storage() -> Storage:
    """Returns DATA_DIR/media, or the bucket (settings.MEDIA_STORAGE). One folder per instance, by its key."""
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
    """Store a file, read from its current position; `size` in bytes if known. `only` is "audio" or "image".

    The row is written before the file: a crash between the two leaves a row that retention deletes, never a file
    without a row. So call it outside any transaction.

    Raises:
        WrongFile: the file is empty, of another type than `only`, not allowed, or exceeds the quota.
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


def file_caption(type: str, caption: str | None, *, body: str, media: Media | None) -> str | None:
    """The caption of a message. A document without one gets its file name, so that its receiver can read what it is.

    A document that is not stored here is named by the URL in its `body`.
    """
    if caption or type != MessageType.DOCUMENT:
        return caption
    return media.filename if media else sources.name_in_url(body) or None


def check_quota(instance: Instance, size: int) -> None:
    """Raises WrongFile if a file of `size` bytes would exceed the instance's quota (MEDIA_QUOTA_BYTES)."""
    kept = Media.objects.filter(instance=instance).aggregate(kept=Sum("size"))["kept"] or 0
    if kept + size > settings.MEDIA_QUOTA_BYTES:
        raise WrongFile(
            f"with it the instance's files would have more than {filesizeformat(settings.MEDIA_QUOTA_BYTES)}; "
            "each is kept for 30 days after it was last sent, and makes room then."
        )


def store_given_media(
    instance: Instance, given: UploadedFile | str, *, filename: str, cached: bool = False, only: str = ""
) -> Media:
    """Store the file of a call: an upload, a data URI, or the content of a URL, which is fetched.

    With `cached`, a file that this instance fetched from the same URL with the same name within the last hour is used
    again; otherwise it is always fetched.

    Raises:
        WrongFile: as store_media, or the file could not be fetched.
    """
    if not sources.is_http_url(given):
        return store_content(instance, given, filename, only=only)
    if own := own_file(str(given)):
        with storage().open(own.path) as file:
            return store_media(
                instance, content=file, filename=filename, content_type=own.content_type, only=only
            )
    if not cached:
        check_quota(instance, 1)  # do not fetch a file that cannot be stored
    source = hashlib.sha256(f"{given}\n{filename}".encode(errors="replace")).hexdigest()
    if cached and (media := find_cached(instance, source)):
        return extend_expiry(media)
    try:
        with fetch.fetch_slot(instance.owner_id):
            return store_content(instance, given, filename, source=source, only=only)
    except fetch.FetchFailed as error:
        raise WrongFile(str(error)) from None


def store_content(
    instance: Instance, given: UploadedFile | str, filename: str, *, source: str = "", only: str = ""
) -> Media:
    """Store an upload, a data URI, or the content of a URL that is not on this site."""
    with sources.open_content(given) as content:
        return store_media(
            instance, content=content.file, filename=filename, content_type=content.content_type,
            size=content.size, source=source, only=only,
        )  # fmt: skip


def own_file(url: str) -> Media | None:
    """Returns the file that this site serves at this URL, so that it is not fetched through the network."""
    key, _, name = url.strip().removeprefix(settings.SITE_URL + "/media/").partition("/")
    found = (
        Media.objects.filter(key=key, expires_at__gt=timezone.now()).first()
        if len(key) == KEY_LENGTH
        else None
    )
    return found if found and found.name_in_link == name and storage().exists(found.path) else None


def find_cached(instance: Instance, source: str) -> Media | None:
    """Returns the file that the instance fetched from this source within CACHE_TIME."""
    found = Media.objects.filter(instance=instance, source=source, created_at__gt=timezone.now() - CACHE_TIME)
    return found.order_by("-created_at").first()


def extend_expiry(media: Media) -> Media:
    """Restart the 30 days of a file that is sent again. Raises WrongFile if it was deleted in the meantime."""
    media.expires_at = media_expiry()
    if not Media.objects.filter(pk=media.pk).update(expires_at=media.expires_at):
        raise WrongFile("the file is no longer kept.")
    return media


def schedule_drop() -> None:
    """Queue drop_old() in the transaction that deletes an account. A schedule runs it too."""
    async_task("instances.actions.media.drop_old")


def drop_old() -> str:
    """Delete expired files and those of deleted instances; runs every hour."""
    expired = 0
    while batch := list(Media.objects.filter(expires_at__lte=timezone.now()).order_by("expires_at")[:BATCH]):
        for media in batch:
            expired += delete_if_expired(media)
    try:
        folders, _ = storage().listdir("")
    except FileNotFoundError:  # no file was ever stored
        folders = []
    orphaned = {folder for folder in folders if folder.isdigit()} - {
        str(pk) for pk in Instance.objects.values_list("pk", flat=True)
    }
    of_deleted = sum(delete_folder(folder) for folder in orphaned)
    return f"{expired} expired, {of_deleted} of deleted instances"


@transaction.atomic
def delete_if_expired(media: Media) -> int:
    """Delete the row, then its file, unless a call has just extended it; returns 1 if deleted, else 0."""
    deleted, _ = Media.objects.filter(pk=media.pk, expires_at__lte=timezone.now()).delete()
    if deleted:
        storage().delete(media.path)
    return 1 if deleted else 0


def delete_folder(folder: str) -> int:
    """Delete a folder of the storage; returns how many files it had."""
    _, names = storage().listdir(folder)
    for name in names:
        storage().delete(f"{folder}/{name}")
    storage().delete(folder)
    return len(names)
