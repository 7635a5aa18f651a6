"""How much the files of one account may have together (QUOTA_FILE_BYTES)."""

import io
from pathlib import Path
from typing import Any

import pytest

from accounts.actions.accounts import set_quota
from instances.actions import media as media_actions
from instances.actions.media import store_media
from instances.media.kinds import WrongFile
from instances.models import Instance, Media
from tests.factories import InstanceFactory
from tests.receiver import Receiver

SENTENCE = (
    "quota reached: the account uses 15 B of 20 B of files, and 6 B more are needed. "
    "Each file is deleted 30 days after it was last sent. Wait until then, delete an instance, "
    "or ask the administrator of this site for a higher quota."
)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, settings: Any) -> None:
    local = settings.STORAGES["media"]
    options = local["OPTIONS"] | {"location": tmp_path / "media"}
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": options}}
    settings.QUOTA_FILE_BYTES = 20


def keep(instance: Instance, size: int, letter: bytes = b"x") -> Media:
    return store_media(instance, content=io.BytesIO(letter * size), filename="a.txt")


def test_files_are_kept_up_to_the_quota_and_not_beyond(instance: Instance, tmp_path: Path) -> None:
    keep(instance, 15)
    with pytest.raises(WrongFile) as caught:
        keep(instance, 6)
    assert str(caught.value) == SENTENCE
    assert [one.size for one in Media.objects.all()] == [15]
    assert len([path for path in (tmp_path / "media").rglob("*") if path.is_file()]) == 1
    keep(instance, 5)


def test_another_account_has_its_own(instance: Instance) -> None:
    other = InstanceFactory()
    keep(instance, 20)
    keep(other, 20)
    assert [(one.instance, one.size) for one in Media.objects.order_by("pk")] == [(instance, 20), (other, 20)]


def test_the_instances_of_an_account_share_its_quota(instance: Instance) -> None:
    other = InstanceFactory(owner=instance.owner)
    keep(instance, 15)
    with pytest.raises(WrongFile, match="uses 15 B of 20 B"):
        keep(other, 6, b"y")


def test_files_of_version_0_1_0_count(instance: Instance) -> None:
    Media.objects.create(
        instance=instance,
        filename="a.txt",
        extension=".txt",
        content_type="text/plain",
        size=15,
        path="1/old",
    )
    with pytest.raises(WrongFile, match="uses 15 B of 20 B"):
        keep(instance, 6)


def test_staff_can_raise_it(instance: Instance) -> None:
    set_quota(instance.owner, name="fileBytes", limit=30, acting_user=None)
    keep(instance, 30)


def test_over_the_quota_nothing_is_fetched(instance: Instance) -> None:
    keep(instance, 20)
    with Receiver() as server:
        with pytest.raises(WrongFile, match="quota reached: the account uses 20 B of 20 B"):
            media_actions.store_given_media(instance, server.url, filename="a.txt")
        assert server.requests == []


def test_what_is_over_makes_room(instance: Instance) -> None:
    media = keep(instance, 20)
    media.delete()
    media_actions.drop_old()
    kept = keep(instance, 20, b"y")
    assert list(Media.objects.all()) == [kept]
