"""Bodies of requests with a file, as the sender reads them."""

from __future__ import annotations

import json
import os
from base64 import b64decode

import pytest
from django.core.files.base import ContentFile

from instances.actions.media import storage
from instances.channels.requests import Request
from instances.sending.request_bodies import BLOCK, open_body


@pytest.mark.parametrize("size", [0, 1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 2])
@pytest.mark.parametrize("step", [-1, 1, 1000, 1_000_000])
def test_a_file_in_json_is_read_in_base64(size: int, step: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = storage().save("base64-test.bin", ContentFile(content))
    request = Request(
        "POST", "https://example.com/", body=b'{"data":"', body_path=path, body_end=b'"}', is_base64=True
    )
    read = b""
    with open_body(request) as file:
        length = file.seek(0, os.SEEK_END)
        for _ in range(2):  # a connection that was closed is tried again from the start
            file.seek(0)
            read = file.read() if step < 0 else b"".join(iter(lambda: file.read(step), b""))
    storage().delete(path)
    assert len(read) == length
    assert b64decode(json.loads(read)["data"], validate=True) == content
