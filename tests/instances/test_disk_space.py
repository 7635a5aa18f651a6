"""Free space on the disk: below the threshold nothing large is stored, and messages and hooks continue."""

import base64
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.actions import keys
from hooks.models import Hook, Kind, Role, Runner
from instances.actions.media import NoSpace, store_media
from instances.limits import disk_space
from instances.models import Instance, Media, Message
from tests.factories import InstanceFactory, UserFactory
from tests.requirements import cannot_run

MEGABYTE = 1024 * 1024
FULL = override_settings(DISK_MIN_FREE_BYTES=10**18, SUPPORT_EMAIL="help@example.org")
TEXT = base64.b64encode(b"some text").decode()
SENTENCE = (
    "the disk of this site is almost full, and no file can be stored at the moment. Text messages and hooks are not "
    "affected. Try again later, or tell help@example.org."
)


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True))
    return client


def call(instance: Instance, method: str, **data: str) -> dict[str, Any]:
    url = f"/instance{instance.number}/{method}?token={instance.token}"
    result: dict[str, Any] = Client().post(url, data, content_type="application/json").json()
    return result


@FULL
def test_a_file_is_refused_and_a_text_is_sent(instance: Instance) -> None:
    file = call(
        instance, "sendFile", phone="17680561234", body=f"data:text/plain;base64,{TEXT}", filename="a.txt"
    )
    assert file == {"sent": False, "message": f"File was not sent: {SENTENCE}"}
    assert call(instance, "sendMessage", phone="17680561234", body="hello")["sent"] is True
    assert not Media.objects.exists()


@FULL
def test_rest_responds_507_and_hooks_continue(instance: Instance) -> None:
    _, uid = keys.issue_key(instance.owner, acting_user=None)
    headers: Any = {"Authorization": f"Bearer {uid}"}
    url = f"/api/v1/instances/{instance.number}/sandbox/messages/"
    message = {
        "from": "17680561234",
        "type": "image",
        "file": f"data:text/plain;base64,{TEXT}",
        "filename": "a.txt",
    }
    refused = Client().post(url, message, content_type="application/json", headers=headers)
    assert (refused.status_code, refused.json()) == (507, {"error": f"The file was not stored: {SENTENCE}"})

    text = Client().post(
        url, {"from": "17680561234", "body": "hi"}, content_type="application/json", headers=headers
    )
    assert text.status_code == 201
    assert Message.objects.count() == 1
    assert Hook.objects.filter(endpoint_id=instance.pk, kind=Kind.MESSAGE).count() == 1


@override_settings(DISK_MIN_FREE_BYTES=10**18, MEDIA_S3_BUCKET="bucket")
def test_files_in_a_bucket_do_not_depend_on_the_disk(instance: Instance) -> None:
    assert store_media(instance, content=io.BytesIO(b"x"), filename="a.txt").size == 1


@FULL
def test_a_file_that_is_stored_already_is_sent_again(instance: Instance) -> None:
    with override_settings(DISK_MIN_FREE_BYTES=0):
        store_media(instance, content=io.BytesIO(b"picture"), filename="a.txt")
    assert store_media(instance, content=io.BytesIO(b"picture"), filename="b.txt").filename == "b.txt"
    with pytest.raises(NoSpace):
        store_media(instance, content=io.BytesIO(b"another"), filename="a.txt")


@FULL
@pytest.mark.django_db
def test_readyz_is_degraded_and_still_200(client: Client) -> None:
    Runner.objects.create(id=1, role=Role.DISPATCH, slot=0, pid=1, host="here", heartbeat_at=timezone.now())
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["reason"].startswith("The disk of DATA_DIR is almost full: ")


def test_the_support_desk_says_so(staff: Client) -> None:
    assert "almost full" not in staff.get("/admin/").content.decode()
    assert "must stay free" in staff.get("/admin/health/").content.decode()
    with FULL:
        assert "The disk of DATA_DIR is almost full" in staff.get("/admin/").content.decode()
        assert "Almost full:" in staff.get("/admin/health/").content.decode()


@override_settings(DISK_MIN_FREE_BYTES=0, DISK_MIN_FREE_PERCENT=0)
def test_zero_means_no_limit() -> None:
    assert not disk_space.is_low()


@override_settings(DATA_DIR=Path("/does/not/exist"), DISK_MIN_FREE_BYTES=10**18)
def test_a_folder_that_cannot_be_read_refuses_nothing() -> None:
    assert disk_space.read_disk_space() is None
    assert (disk_space.is_low(), disk_space.warning()) == (False, "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        cannot_run("Mounting a file system needs root.")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    ("setting", "value"), [("DISK_MIN_FREE_BYTES", 8 * MEGABYTE), ("DISK_MIN_FREE_PERCENT", 25)]
)
@pytest.mark.django_db
def test_a_disk_that_fills_up(small_disk: Path, settings: Any, setting: str, value: int) -> None:
    local = settings.STORAGES["media"]
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": {"location": small_disk / "media"}}}
    settings.DATA_DIR = small_disk
    setattr(settings, setting, value)
    instance, stored = InstanceFactory(), 0
    with pytest.raises(NoSpace):
        for number in range(32):
            store_media(instance, content=io.BytesIO(bytes([number + 1]) * MEGABYTE), filename="a.bin")
            stored += 1
    assert 23 <= stored <= 25  # 8 of 32 MB stay free, but for the last file
    assert disk_space.warning()

    Media.objects.all().delete()
    for path in (small_disk / "media").rglob("*"):
        if path.is_file():
            os.unlink(path)
    assert store_media(instance, content=io.BytesIO(b"again"), filename="a.bin").size == 5
    assert not disk_space.warning()
