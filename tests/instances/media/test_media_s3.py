"""Files in a bucket: the settings, and the real django-storages against a store that speaks as much S3 as it takes."""

import base64
import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone

from instances.actions import media as media_actions
from instances.actions.media import store_media
from instances.models import Instance, Media
from tests.product import ROOT, product_environment
from tests.receiver import Answer, Received, Receiver

# The options contain objects of boto3.
SHOW = """
import base64, pickle
from django.conf import settings
print(base64.b64encode(pickle.dumps(settings.STORAGES["media"])).decode())
"""
XML = {"Content-Type": "application/xml"}


class Store:
    """PUT, GET, HEAD, DELETE and LIST of one bucket, which is kept in `files`; requests must be signed."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def __call__(self, request: Received) -> Answer:
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
        parts = urlsplit(request.path)
        assert parts.path.startswith("/bucket")
        name = parts.path.removeprefix("/bucket").lstrip("/")
        if request.method == "PUT":
            self.files[name] = request.body
            return 200, {"ETag": '"x"'}, b""
        if request.method == "DELETE":
            self.files.pop(name, None)
            return 204, {}, b""
        if not name:
            return 200, XML, self.listing(parse_qs(parts.query).get("prefix", [""])[0])
        if name not in self.files:
            return 404, {}, b""
        content = self.files[name]
        head = {
            "Content-Length": str(len(content)),
            "ETag": '"x"',
            "Last-Modified": "Wed, 01 May 2024 12:00:00 GMT",
        }
        return 200, head, b"" if request.method == "HEAD" else content

    def listing(self, prefix: str) -> bytes:
        below = [name.removeprefix(prefix) for name in self.files if name.startswith(prefix)]
        folders = sorted({name.split("/")[0] + "/" for name in below if "/" in name})
        files = [name for name in below if "/" not in name]
        return (
            "<ListBucketResult><IsTruncated>false</IsTruncated>"
            + "".join(f"<Contents><Key>{prefix}{name}</Key></Contents>" for name in files)
            + "".join(f"<CommonPrefixes><Prefix>{prefix}{name}</Prefix></CommonPrefixes>" for name in folders)
            + "</ListBucketResult>"
        ).encode()


def media_storage(folder: Path, **environment: str) -> Any:
    """settings.STORAGES["media"] of a process with this environment."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, capture_output=True, text=True, check=True,
        env=product_environment(folder, DJANGO_SETTINGS_MODULE="chatapi.settings", **environment),
    )  # fmt: skip
    return pickle.loads(base64.b64decode(done.stdout))


@pytest.fixture
def bucket(settings: Any, tmp_path: Path) -> Iterator[Store]:
    """The store that MEDIA_S3_… name, with the options that chatapi/settings.py makes of them."""
    store = Store()
    with Receiver(store) as server:
        made = media_storage(
            tmp_path, MEDIA_S3_BUCKET="bucket", MEDIA_S3_ENDPOINT=server.url.removesuffix("/hook"),
            MEDIA_S3_REGION="eu-1", MEDIA_S3_PREFIX="files", MEDIA_S3_ACCESS_KEY="key", MEDIA_S3_SECRET_KEY="secret",
        )  # fmt: skip
        settings.STORAGES = settings.STORAGES | {"media": made}
        yield store


def test_without_a_bucket_files_are_kept_in_the_data_folder(tmp_path: Path) -> None:
    assert media_storage(tmp_path) == {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": tmp_path / "media",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }


def test_a_file_is_put_into_the_bucket_served_from_it_and_dropped(
    bucket: Store, client: Client, instance: Instance
) -> None:
    media = store_media(instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename="photo.jpg")
    assert list(bucket.files) == [f"files/{media.path}"]
    link = media.link.removeprefix("http://localhost:8000")
    response = client.get(link)
    assert (response.status_code, response.headers["Content-Length"]) == (200, "10")
    assert b"".join(response) == b"\xff\xd8\xffpicture"
    Media.objects.update(expires_at=timezone.now())
    assert media_actions.drop_old() == "1 links expired, 1 files deleted"
    assert bucket.files == {}


def test_a_file_sent_again_is_put_into_the_bucket_once(bucket: Store, instance: Instance) -> None:
    first, again = (
        store_media(instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename="photo.jpg")
        for _ in range(2)
    )
    assert list(bucket.files) == [f"files/{first.path}"]
    assert first.link != again.link
    bucket.files.clear()
    healed = store_media(instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename="photo.jpg")
    assert bucket.files == {f"files/{healed.path}": b"\xff\xd8\xffpicture"}
    assert healed.path == first.path


def test_a_file_that_the_bucket_has_lost_is_not_there(
    bucket: Store, client: Client, instance: Instance
) -> None:
    media = store_media(instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename="photo.jpg")
    bucket.files.clear()
    assert client.get(media.link.removeprefix("http://localhost:8000")).status_code == 404


def test_files_of_deleted_instances_are_found_in_the_bucket(bucket: Store, instance: Instance) -> None:
    kept = store_media(instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename="photo.jpg")
    bucket.files["files/999999/lost"] = b"x"
    assert media_actions.drop_old() == "0 links expired, 1 files deleted"
    assert list(bucket.files) == [f"files/{kept.path}"]
    assert storages["media"].exists(kept.path)
