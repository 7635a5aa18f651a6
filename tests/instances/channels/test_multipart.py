"""Uploads as forms, read by a web framework that others wrote (werkzeug)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from flask import Flask, request
from werkzeug.serving import make_server

from hooks.http import Transfer
from instances.actions.media import storage
from instances.channels.multipart import with_form
from instances.channels.requests import File, Request
from instances.sending.request_bodies import open_body

ODD_NAME = 'fü"\r\nX: y.png'


@pytest.fixture
def uploads() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a server that takes forms, and what it has read."""
    app, got = Flask(__name__), []

    @app.post("/media")
    def take() -> str:
        file = request.files["file"]
        got.append({
            "fields": request.form.to_dict(),
            "name": file.filename,
            "type": file.content_type,
            "content": file.read(),
        })  # fmt: skip
        return "ok"

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/media", got
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_a_form_with_a_file_is_read_by_others(
    uploads: tuple[str, list[dict[str, Any]]], size: int, tmp_path: Path, settings: Any
) -> None:
    url, got = uploads
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = storage().save("multipart-test.bin", ContentFile(content))
    prepared = with_form(
        Request("POST", url, {"Authorization": "Bearer t"}, is_upload=True),
        {"messaging_product": "whatsapp", "type": "image/png"},
        file_field="file",
        file=File(ODD_NAME, "image/png", size, path, "https://example.com/a.png"),
    )
    transfer = Transfer()
    with open_body(prepared) as file:
        transfer.start_request(
            prepared.method, prepared.url, prepared.headers, prepared.body, file=file, deadline=30
        )
        transfer.curl.perform()
    assert transfer.finish().status == 200
    transfer.curl.close()
    storage().delete(path)
    [form] = got
    assert form["fields"] == {"messaging_product": "whatsapp", "type": "image/png"}
    assert (form["type"], form["content"]) == ("image/png", content)
    assert form["name"] == 'fü"%0D%0AX: y.png', "escaped as browsers do"


def test_the_same_file_makes_the_same_form_and_another_one_another_boundary() -> None:
    def form(path: str) -> Request:
        file = File("a.png", "image/png", 3, path, "https://example.com/a.png")
        return with_form(Request("POST", "https://example.com/"), {"a": "b"}, file_field="file", file=file)

    assert form("one") == form("one")
    assert form("one").headers["Content-Type"] != form("two").headers["Content-Type"]
