"""How much the files of one instance may have together (MEDIA_QUOTA_BYTES)."""

import io
from pathlib import Path
from typing import Any

import pytest

from instances.actions import media as media_actions
from instances.actions.media import store_media
from instances.media.kinds import WrongFile
from instances.models import Instance, Media
from tests.factories import InstanceFactory
from tests.receiver import Receiver

SENTENCE = (
    "with it the instance's files would have more than 20\xa0bytes; "
    "each is kept for 30 days after it was last sent, and makes room then."
)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, settings: Any) -> None:
    local = settings.STORAGES["media"]
    options = local["OPTIONS"] | {"location": tmp_path / "media"}
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": options}}
    settings.MEDIA_QUOTA_BYTES = 20


def keep(instance: Instance, size: int) -> Media:
    return store_media(instance, content=io.BytesIO(b"x" * size), filename="a.txt")


def test_files_are_kept_up_to_the_quota_and_not_beyond(instance: Instance, tmp_path: Path) -> None:
    keep(instance, 15)
    with pytest.raises(WrongFile) as caught:
        keep(instance, 6)
    assert str(caught.value) == SENTENCE
    assert [one.size for one in Media.objects.all()] == [15]
    assert len([path for path in (tmp_path / "media").rglob("*") if path.is_file()]) == 1
    keep(instance, 5)


def test_another_instance_has_its_own(instance: Instance) -> None:
    other = InstanceFactory()
    keep(instance, 20)
    keep(other, 20)
    assert [(one.instance, one.size) for one in Media.objects.order_by("pk")] == [(instance, 20), (other, 20)]


def test_over_the_quota_nothing_is_fetched(instance: Instance) -> None:
    keep(instance, 20)
    with Receiver() as server:
        with pytest.raises(WrongFile, match="would have more than"):
            media_actions.store_given_media(instance, server.url, filename="a.txt")
        assert server.requests == []


def test_what_is_over_makes_room(instance: Instance) -> None:
    media = keep(instance, 20)
    media.delete()
    kept = keep(instance, 20)
    assert list(Media.objects.all()) == [kept]
