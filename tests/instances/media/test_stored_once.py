"""Equal files of an account are stored once, also under races, and deleted with the last link only."""

import io
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import connection, transaction
from django.test import Client, override_settings
from django.utils import timezone

from chatapi.account_data.deletion import delete_everything
from instances.actions import deleted_data
from instances.actions import media as media_actions
from instances.actions.lifecycle import delete_instance
from instances.actions.media import store_media
from instances.models import Instance, Media, StoredFile
from tests.factories import InstanceFactory
from tests.threads import results_in_threads

CONTENT = b"\xff\xd8\xffpicture"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """A store with nothing of the other tests' in it."""
    local = settings.STORAGES["media"]
    options = local["OPTIONS"] | {"location": tmp_path / "media"}
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": options}}
    return tmp_path / "media"


def store(instance: Instance, name: str = "photo.jpg", content: bytes = CONTENT) -> Media:
    return store_media(instance, content=io.BytesIO(content), filename=name)


def files_in(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def expire(media: Media) -> None:
    Media.objects.filter(pk=media.pk).update(expires_at=timezone.now())


def test_a_file_sent_again_is_stored_once(client: Client, instance: Instance, folder: Path) -> None:
    other = InstanceFactory(owner=instance.owner)
    links = [store(instance), store(instance, "copy.jpg"), store(other)]

    assert files_in(folder) == [CONTENT]
    assert len({media.link for media in links}) == 3
    assert media_actions.count_file_bytes(instance.owner) == len(CONTENT)
    for media in links:
        response = client.get(media.link.removeprefix("http://localhost:8000"))
        assert b"".join(response) == CONTENT
        assert media.filename in response["Content-Disposition"]


@override_settings(QUOTA_FILE_BYTES=len(CONTENT))
def test_a_file_sent_again_needs_no_quota(instance: Instance) -> None:
    assert [store(instance).size for _ in range(3)] == [len(CONTENT)] * 3


def test_two_accounts_share_no_file(instance: Instance, folder: Path) -> None:
    store(instance)
    store(InstanceFactory())
    assert files_in(folder) == [CONTENT, CONTENT]


def test_the_file_goes_with_its_last_link(client: Client, instance: Instance, folder: Path) -> None:
    first, last = store(instance), store(instance)
    expire(first)
    assert media_actions.drop_old() == "1 links expired, 0 files deleted"
    assert b"".join(client.get(last.link.removeprefix("http://localhost:8000"))) == CONTENT
    expire(last)
    assert media_actions.drop_old() == "1 links expired, 1 files deleted"
    assert (files_in(folder), StoredFile.objects.count()) == ([], 0)
    assert client.get(last.link.removeprefix("http://localhost:8000")).status_code == 404


def test_a_deleted_instance_leaves_the_files_of_the_others(instance: Instance, folder: Path) -> None:
    other = InstanceFactory(owner=instance.owner)
    store(instance)
    store(other)
    store(instance, content=b"\xff\xd8\xffits own")
    delete_instance(instance, acting_user=None)
    deleted_data.drop()
    assert media_actions.drop_old() == "0 links expired, 1 files deleted"
    assert files_in(folder) == [CONTENT]


def test_the_files_of_a_deleted_account_are_deleted(instance: Instance, folder: Path) -> None:
    store(instance)
    delete_everything(instance.owner, acting_user=instance.owner.owner)
    deleted_data.drop()
    assert media_actions.drop_old() == "0 links expired, 1 files deleted"
    assert (files_in(folder), StoredFile.objects.count()) == ([], 0)


def test_a_lost_file_is_written_again(client: Client, instance: Instance, folder: Path) -> None:
    first = store(instance)
    storages["media"].delete(first.path)
    store(instance)
    assert files_in(folder) == [CONTENT]
    assert client.get(first.link.removeprefix("http://localhost:8000")).status_code == 200


def test_an_interrupted_file_is_not_shared_and_goes_after_an_hour(instance: Instance, folder: Path) -> None:
    media = store(instance)
    StoredFile.objects.update(is_stored=False)  # as if the process had been killed before it was marked
    Media.objects.all().delete()
    again = store(instance)
    assert again.path != media.path
    assert media_actions.delete_unused_files() == 0
    StoredFile.objects.filter(is_stored=False).update(created_at=timezone.now() - timedelta(hours=2))
    assert media_actions.delete_unused_files() == 1
    assert files_in(folder) == [CONTENT]


def test_a_file_of_version_0_1_0_is_served_and_deleted_alone(
    client: Client, instance: Instance, folder: Path
) -> None:
    old = Media.objects.create(
        instance=instance, filename="photo.jpg", extension=".jpg", content_type="image/jpeg", size=len(CONTENT),
        path=f"{instance.pk}/{'a' * 48}",
    )  # fmt: skip
    storages["media"].save(old.path, io.BytesIO(CONTENT))
    new = store(instance)
    assert b"".join(client.get(old.link.removeprefix("http://localhost:8000"))) == CONTENT
    expire(old)
    assert media_actions.drop_old() == "1 links expired, 0 files deleted"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [Path(new.path).name]


@pytest.mark.django_db(transaction=True)
def test_equal_files_at_once_are_stored_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = InstanceFactory()
    barrier = threading.Barrier(6)
    real = storages["media"].save

    def save_together(name: str, content: Any) -> str:
        barrier.wait(timeout=30)  # all have found that the content is new
        return str(real(name, content))

    monkeypatch.setattr(storages["media"], "save", save_together)
    made = results_in_threads(lambda _: store(Instance.objects.get(pk=instance.pk)), 6)
    assert files_in(folder) == [CONTENT]
    assert {media.path for media in made} == {StoredFile.objects.get().path}


@pytest.mark.django_db(transaction=True)
def test_concurrent_files_do_not_exceed_the_quota(folder: Path) -> None:
    instance = InstanceFactory()

    def attempt(number: int) -> int:
        try:
            return store(Instance.objects.get(pk=instance.pk), content=CONTENT + bytes([number])).size
        except media_actions.WrongFile:
            return 0

    with override_settings(QUOTA_FILE_BYTES=2 * len(CONTENT) + 2):
        sizes = results_in_threads(attempt, 6)
    assert sorted(sizes) == [0, 0, 0, 0, 11, 11]
    assert len(files_in(folder)) == 2


@pytest.mark.django_db(transaction=True)
def test_retention_waits_for_a_call_that_shares_the_file(folder: Path) -> None:
    """The link is not visible when retention starts, and is when its lock is granted."""
    instance = InstanceFactory()
    first = store(instance)
    Media.objects.all().delete()
    file = StoredFile.objects.get()
    withdrawn: list[bool] = []

    def withdraw() -> None:
        withdrawn.append(media_actions.withdraw_file(file))
        connection.close()

    retention = threading.Thread(target=withdraw)
    with transaction.atomic():
        shared = media_actions.share_file(
            media_actions.NewMedia(
                instance, media_actions.Kind("photo.jpg", ".jpg", "image/jpeg", media_actions.MessageType.IMAGE),
                len(CONTENT), "", file.digest,
            )
        )  # fmt: skip
        retention.start()
        retention.join(timeout=0.5)
        assert retention.is_alive()
    retention.join(timeout=30)
    assert withdrawn == [False]
    assert shared is not None and shared.path == first.path
    assert files_in(folder) == [CONTENT]


@pytest.mark.django_db(transaction=True)
def test_a_file_that_retention_has_withdrawn_is_not_shared(folder: Path) -> None:
    instance = InstanceFactory()
    store(instance)
    Media.objects.all().delete()
    [file] = StoredFile.objects.all()
    assert media_actions.withdraw_file(file)
    again = store(instance)
    media_actions.delete_file(file)
    assert again.path != file.path
    assert files_in(folder) == [CONTENT]
