"""The files of messages: stored, fetched from URLs (cached for an hour on request), and deleted when they expire."""

import hashlib
import logging
from datetime import timedelta
from typing import IO, NamedTuple

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Sum
from django.utils import timezone
from django_q.tasks import async_task

from accounts import quotas
from accounts.models import Account
from accounts.quotas import Quota, QuotaExceeded
from instances.limits import disk_space
from instances.media import sources
from instances.media.deletion_lock import files_may_be_deleted
from instances.media.kinds import HEAD, Kind, WrongFile, identify_file
from instances.models import Instance, Media, MessageType, StoredFile, media_expiry, new_media_key

log = logging.getLogger(__name__)

CACHE_TIME = timedelta(hours=1)
KEY_LENGTH = len(new_media_key())
ACCOUNT_FOLDER = "account-"  # and the account's key
BATCH = 500  # files deleted in one pass
BLOCK = 1024 * 1024  # bytes read at once
BEING_COPIED = "nothing was deleted: a backup copies the files, or another run deletes them"
WRITTEN_WITHIN = timedelta(hours=1)  # a file that is not stored by then was interrupted


def storage() -> Storage:
    """Returns DATA_DIR/media, or the bucket (settings.MEDIA_STORAGE). One folder per account, by its key."""
    return storages["media"]


def count_file_bytes(account: Account) -> int:
    """Returns the bytes of the account's files. Two queries, each of an index alone."""
    stored = StoredFile.objects.filter(account=account).aggregate(size=Sum("size"))["size"] or 0
    old = Media.objects.filter(instance__owner=account, file=None).aggregate(size=Sum("size"))["size"] or 0
    return int(stored + old)


FILES = Quota(
    "fileBytes",
    20,
    "Files in messages",
    "QUOTA_FILE_BYTES",
    "of files",
    "Each file is deleted 30 days after it was last sent. Wait until then, delete an instance",
    count_file_bytes,
    is_bytes=True,
)


class NoSpace(WrongFile):
    """The disk is almost full; REST responds 507."""


def check_disk_space() -> None:
    """Raise NoSpace if files are stored on the disk of DATA_DIR, and it is almost full."""
    if not settings.MEDIA_S3_BUCKET and disk_space.is_low():
        raise NoSpace(disk_space.refusal("no file can be stored"))


def check_quota(account: Account, size: int) -> None:
    """Raise WrongFile if the account cannot have a file of `size` bytes more."""
    try:
        quotas.check(account, FILES.name, adding=size)
    except QuotaExceeded as reached:
        sentence = str(reached)
        raise WrongFile(sentence[0].lower() + sentence[1:]) from None


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

    Equal content is stored once per account: a file that is sent again gets another link, and its bytes are shared.
    Call it outside any transaction, because a file may be written and others wait for the rows.

    Raises:
        WrongFile: the file is empty, of another type than `only`, not allowed, or exceeds the quota.
        NoSpace: the disk is almost full.
    """
    start = content.tell()
    head = content.read(HEAD)
    if not head:
        raise WrongFile("the file is empty.")
    kind = identify_file(filename, content_type, head)
    if only and not kind.content_type.startswith(f"{only}/"):
        raise WrongFile(f"it takes {only}, and this is {kind.content_type}.")
    content.seek(start)
    digest = hashlib.sha256()
    while block := content.read(BLOCK):
        digest.update(block)
    new = NewMedia(
        instance, kind, content.tell() - start if size is None else size, source, digest.hexdigest()
    )
    content.seek(start)
    media = share_file(new)
    if media is None:
        check_disk_space()
        return write_file(new, content=content)
    if not storage().exists(media.path):  # lost: written again, for all messages that have it
        storage().save(media.path, File(content))
    return media


class NewMedia(NamedTuple):
    """A file to store; `digest` is the SHA-256 of its content in hexadecimal."""

    instance: Instance
    kind: Kind
    size: int
    source: str
    digest: str

    @property
    def account(self) -> Account:
        return self.instance.owner

    def find_stored(self) -> StoredFile | None:
        """Returns the account's file with this content, locked so that retention does not delete it meanwhile."""
        found = StoredFile.objects.select_for_update().filter(account=self.account, digest=self.digest)
        return found.filter(is_stored=True).first()

    def create(self, file: StoredFile) -> Media:
        return Media.objects.create(
            instance=self.instance,
            filename=self.kind.filename,
            extension=self.kind.extension,
            content_type=self.kind.content_type,
            size=self.size,
            path=file.path,
            file=file,
            source=self.source,
        )


@transaction.atomic
def share_file(new: NewMedia) -> Media | None:
    """Returns a new link to the file with this content; None if the account does not have it."""
    found = new.find_stored()
    return new.create(found) if found else None


def write_file(new: NewMedia, *, content: IO[bytes]) -> Media:
    """Write the content and return a link to it. Raises WrongFile if it exceeds the account's quota.

    The row is written before the file, and marked as stored after it. A crash in between leaves a row that retention
    deletes with its file, never a file without a row. Of two equal files that are written at once, one is kept.
    """
    with transaction.atomic():
        check_quota(quotas.lock_account(new.account), new.size)
        path = f"{ACCOUNT_FOLDER}{new.account.pk}/{new_media_key()}"
        own = StoredFile.objects.create(account=new.account, digest=new.digest, size=new.size, path=path)
    try:
        storage().save(path, File(content))
        with transaction.atomic():
            quotas.lock_account(new.account)
            other = new.find_stored()
            if other is None:
                own.is_stored = True
                own.save(update_fields=["is_stored"])
            media = new.create(other or own)
    except BaseException:
        delete_file(own)
        raise
    if other is not None:
        delete_file(own)
    return media


def file_caption(type: str, caption: str | None, *, body: str, media: Media | None) -> str | None:
    """The caption of a message. A document without one gets its file name, so that its receiver can read what it is.

    A document that is not stored here is named by the URL in its `body`.
    """
    if caption or type != MessageType.DOCUMENT:
        return caption
    return media.filename if media else sources.name_in_url(body) or None


def store_given_media(
    instance: Instance, given: UploadedFile | str, *, filename: str, cached: bool = False, only: str = ""
) -> Media:
    """Store the file of a call: an upload, a data URI, or the content of a URL, which is fetched.

    With `cached`, a file that this instance fetched from the same URL with the same name within the last hour is used
    again; otherwise it is always fetched.

    Raises:
        WrongFile: as store_media, or the file could not be fetched.
        NoSpace: the disk is almost full.
    """
    if not sources.is_http_url(given):
        return store_content(instance, given, filename, only=only)
    if own := own_file(str(given)):
        with storage().open(own.path) as file:
            return store_media(
                instance, content=file, filename=filename, content_type=own.content_type, only=only
            )
    if not cached:
        check_disk_space()  # do not fetch a file that cannot be stored
        check_quota(instance.owner, 1)
    source = hashlib.sha256(f"{given}\n{filename}".encode(errors="replace")).hexdigest()
    if cached and (media := find_cached(instance, source)):
        return extend_expiry(media)
    from instances.media import fetch  # it loads requests, 4 MB that a dispatcher does not need

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
    found = Media.objects.served(timezone.now()).filter(key=key).first() if len(key) == KEY_LENGTH else None
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
    """Delete expired links, and the files that no link has any more; runs every hour. Not during a backup."""
    with files_may_be_deleted() as may_delete:
        return delete_old_files() if may_delete else BEING_COPIED


def delete_old_files() -> str:
    expired = 0
    while batch := list(Media.objects.filter(expires_at__lte=timezone.now()).order_by("expires_at")[:BATCH]):
        for media in batch:
            expired += delete_if_expired(media)
    files = delete_unused_files()
    try:
        folders, _ = storage().listdir("")
    except FileNotFoundError:  # no file was ever stored
        folders = []
    # Version 0.1.0 had a folder for each instance; those of deleted instances have no rows.
    orphaned = {folder for folder in folders if folder.isdigit()} - {
        str(pk) for pk in Instance.objects.values_list("pk", flat=True)
    }
    orphaned |= {folder for folder in folders if folder.startswith(ACCOUNT_FOLDER)} - {
        f"{ACCOUNT_FOLDER}{pk}" for pk in Account.objects.values_list("pk", flat=True)
    }
    files += sum(delete_folder(folder) for folder in orphaned)
    return f"{expired} links expired, {files} files deleted"


@transaction.atomic
def delete_if_expired(media: Media) -> int:
    """Delete the row, unless a call has just extended it; returns 1 if deleted, else 0.

    A file of version 0.1.0 belongs to this row alone and is deleted with it; others go with delete_unused_files.
    """
    deleted, _ = Media.objects.filter(pk=media.pk, expires_at__lte=timezone.now()).delete()
    if deleted and media.file_id is None:
        storage().delete(media.path)
    return 1 if deleted else 0


def delete_unused_files() -> int:
    """Delete the files that no message's link has, and those whose writing was interrupted; returns how many."""
    unused = StoredFile.objects.filter(~Exists(Media.objects.filter(file=OuterRef("pk"))))
    unused = unused.filter(Q(is_stored=True) | Q(created_at__lt=timezone.now() - WRITTEN_WITHIN)).order_by(
        "pk"
    )
    deleted, after = 0, 0
    while batch := list(unused.filter(pk__gt=after)[:BATCH]):
        after = batch[-1].pk
        for file in batch:
            if not file.is_stored or withdraw_file(file):
                delete_file(file)
                deleted += 1
    return deleted


@transaction.atomic
def withdraw_file(file: StoredFile) -> bool:
    """Mark the file as no longer stored, so that no link can share it; returns False if a link has it.

    Two statements: the lock waits for a call that shares the file, and only a statement that starts after it sees the
    link of that call.
    """
    locked = StoredFile.objects.select_for_update().filter(pk=file.pk, is_stored=True).first()
    if locked is None or Media.objects.filter(file=locked).exists():
        return False
    locked.is_stored = False
    locked.save(update_fields=["is_stored"])
    return True


def delete_file(file: StoredFile) -> None:
    """Delete a file that no link has, then its row; if the file cannot be deleted, retention tries again."""
    storage().delete(file.path)
    StoredFile.objects.filter(pk=file.pk).delete()


def delete_folder(folder: str) -> int:
    """Delete a folder of the storage; returns how many files it had."""
    _, names = storage().listdir(folder)
    for name in names:
        storage().delete(f"{folder}/{name}")
    storage().delete(folder)
    return len(names)
