"""No form of a credential is left in what is stored of a request or response."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.http import Response
from hooks.models import Outcome
from instances.channels.masking import mask_request, mask_response, mask_text
from instances.channels.requests import Link, Request

TOKEN = 'A1+b/c "ü" ~7&é<9'
LINK = Link(1001, "4915112345678@c.us", {"token": TOKEN, "secret": "0123456789abcdef"})

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent-encoded": lambda value: quote(value, safe=""),
    "percent-encoded path": quote,
    "form-encoded": quote_plus,
    "lower-case percent-encoded": lambda value: quote(value, safe="").lower().replace("a1", "A1"),
    "percent-encoded twice": lambda value: quote(quote(value, safe=""), safe=""),
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON with letters": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON with escaped slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "HTML": html.escape,
}


def stored_request(text: str) -> str:
    """Returns all of a masked request that has the text in its URL, a header and the body."""
    request = Request("POST", f"https://example.com/bot{text}/send?t={text}", {"X-Key": text}, text.encode())
    masked = mask_request(request, LINK)
    return f"{masked.url} {dict(masked.headers)} {masked.body.decode()}"


def stored_response(text: str) -> str:
    """Returns all of a masked response that has the text in a header, the body and the error."""
    response = Response(Outcome.OK, 200, [["X-Echo", text]], text.encode(), error=text)
    masked = mask_response(response, LINK)
    return f"{masked.headers} {masked.body.decode()} {masked.error}"


@pytest.mark.parametrize("form", FORMS)
def test_a_credential_is_masked_in_each_form(form: str) -> None:
    written = FORMS[form](TOKEN)
    for stored in (stored_request(f"<{written}>"), stored_response(f"<{written}>")):
        assert written not in stored
        assert stored.count("<***>") >= 3


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode], ids=["standard", "URL"])
@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "someone"])
def test_a_credential_is_masked_inside_base64(encode: Callable[[bytes], bytes], user: str) -> None:
    written = encode(f"{user}:{TOKEN}:more".encode()).decode()
    for text in (written, quote(written, safe="")):
        for stored in (stored_request(text), stored_response(text)):
            assert "***" in stored
            assert text not in stored
            assert not any(written[start : start + 12] in stored for start in range(8, len(written) - 20))


def test_headers_that_carry_secrets_are_masked_whatever_they_contain() -> None:
    headers = {"Authorization": "Bearer other", "cookie": "a=b", "X-API-Key": "k", "Accept": "text/html"}
    assert mask_request(Request("GET", "https://example.com/", headers), Link(1, "a@c.us")).headers == {
        "Authorization": "Bearer ***",
        "cookie": "***",
        "X-API-Key": "***",
        "Accept": "text/html",
    }
    response = Response(Outcome.OK, 200, [["Set-Cookie", "session=1; Path=/"], ["Server", "nginx"]])
    masked = mask_response(response, Link(1, "a@c.us"))
    assert masked.headers == [["Set-Cookie", "***"], ["Server", "nginx"]]


def test_a_header_of_a_response_is_masked_in_its_bytes() -> None:
    as_bytes = TOKEN.encode().decode("latin-1")  # as hooks.http reads headers
    masked = mask_response(Response(Outcome.OK, 200, [["X-Echo", f"you are {as_bytes}"]]), LINK)
    assert masked.headers == [["X-Echo", "you are ***"]]


def test_the_original_stays_and_the_rest_is_unchanged() -> None:
    request = Request(
        "POST", "https://example.com/a%2Fb?c=ü", {"X": "1"}, b"\xff\x00", "path", is_upload=True
    )
    assert mask_request(request, LINK) == request
    response = Response(Outcome.OK, 200, [["A", "ü"]], b"\xff\x00", 2, "192.0.2.1:443", total_ms=3.5)
    assert mask_response(response, LINK) == response
    assert mask_text(f"The token {TOKEN} is wrong.", LINK) == "The token *** is wrong."


def test_a_short_value_is_not_looked_for() -> None:
    link = Link(1, "a@c.us", {"user": "abc", "empty": ""})
    request = Request("GET", "https://example.com/abc")
    assert mask_request(request, link).url == "https://example.com/abc"


def test_a_value_that_contains_another_is_masked_as_a_whole() -> None:
    link = Link(1, "a@c.us", {"id": "12345", "token": "12345:secret"})
    assert mask_text("bot12345:secret and 12345", link) == "bot*** and ***"


def test_the_beginning_of_a_credential_where_a_text_was_cut_is_masked() -> None:
    link = Link(1, "a@c.us", {"token": "0123456789abcdef"})
    assert mask_text("You sent 0123456789abcde", link) == "You sent ***"
    assert mask_text("You sent 0123", link) == "You sent ***"
    assert mask_text("You sent 012", link) == "You sent 012"
    cut = Response(Outcome.NOT_200, 400, body=b"\xff 0123456789a", size=9000)
    assert mask_response(cut, link).body == b"\xff ***"
    whole = Response(Outcome.NOT_200, 400, body=b"order 0123456789a", size=17)
    assert mask_response(whole, link).body == b"order 0123456789a"


@given(st.text(st.characters(codec="utf-8"), min_size=4, max_size=30), st.binary(max_size=6))
def test_any_credential_is_masked_in_urls_json_and_base64(value: str, before: bytes) -> None:
    link = Link(1, "a@c.us", {"token": value})
    for text in (quote(value, safe=""), json.dumps(value)[1:-1]):
        assert mask_text(f"[[{text}]]", link) == "[[***]]"
    if len(value.encode()) >= 8:
        assert "***" in mask_text(b64encode(before + value.encode()).decode(), link)
