"""Slow readers of long answers take no page away from anybody: so many are under way, in all and of one address."""

from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from chatapi.runtime import download_slots
from chatapi.wsgi import responses_with_length


def open_slot(response: HttpResponse | StreamingHttpResponse, address: str = "192.0.2.1") -> tuple[str, Any]:
    """Status and answer of an application that answers so, as the web server gets them."""
    begun: list[str] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response(f"{response.status_code} Some", [])
        return response

    found = responses_with_length(application)(
        {"REMOTE_ADDR": address}, lambda status, headers: begun.append(status)
    )
    [status] = begun
    return status, found


def long(length: int = download_slots.SHORT_BYTES + 1) -> StreamingHttpResponse:
    return StreamingHttpResponse([b"a", b"b"], headers={"Content-Length": str(length)})


def test_what_is_short_is_sent_as_one_and_holds_nothing() -> None:
    for response in (HttpResponse(b"ab"), long(download_slots.SHORT_BYTES)):
        assert open_slot(response) == ("200 Some", [b"ab"])


def test_of_long_ones_an_address_has_eight_under_way_until_it_closes_one() -> None:
    open_ones = [open_slot(long())[1] for _ in range(download_slots.MAX_DOWNLOADS_PER_ADDRESS)]
    assert b"".join(open_ones[0]) == b"ab"
    status, body = open_slot(StreamingHttpResponse([b"without a length"]))
    assert status == "503 Service Unavailable"
    assert b"Too many files are being downloaded" in b"".join(body)
    assert open_slot(long(), "192.0.2.2")[0] == "200 Some"
    open_ones[0].close()
    open_ones[0].close()
    status, last = open_slot(long())
    assert status == "200 Some"
    assert open_slot(long())[0] == "503 Service Unavailable"
    for one in (*open_ones, last):
        one.close()


def test_all_together_leave_threads_for_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_slots._slots, "total", 2)
    open_ones = [open_slot(long(), f"192.0.2.{number}")[1] for number in range(2)]
    assert open_slot(long(), "192.0.2.9")[0] == "503 Service Unavailable"
    for one in open_ones:
        one.close()
    assert open_slot(long(), "192.0.2.9")[0] == "200 Some"
