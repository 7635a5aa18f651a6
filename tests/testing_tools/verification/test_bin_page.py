"""The pages of a bin: the list, what a poll returns, one capture; 404 for other accounts."""

import gzip
import html
import json
import re
import zlib
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from testing_tools.verification.reading.request_as_sent import NOT_SHOWN
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def alices_bin():
    return bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))


@pytest.fixture
def alice(client, alices_bin):
    client.force_login(alices_bin.instance.owner.owner)
    return client


@pytest.fixture
def bob(client):
    client.force_login(AccountFactory(email="bob@example.org").owner)
    return client


def capture(bin, body=b"", **more):
    result = capture_actions.capture(bin.key, method="POST", body=body, **more)
    assert result is not None
    return Capture.objects.get(bin=bin, number=result.number)


def pages_of(bin, found):
    page = f"/testing/bins/{bin.key}/"
    return [page, f"{page}news/", f"{page}{found.public_id}/", f"{page}{found.public_id}/body/"]


def test_another_account_gets_404_for_every_page(bob, alices_bin):
    found = capture(alices_bin, b"secret")
    assert [bob.get(page).status_code for page in pages_of(alices_bin, found)] == [404] * 4
    found.refresh_from_db()
    assert found.read_at is None


def test_without_a_session_every_page_redirects_to_the_login(client, alices_bin):
    for page in pages_of(alices_bin, capture(alices_bin)):
        assert client.get(page)["Location"].startswith("/accounts/login/")


def test_a_capture_of_another_bin_is_404(alice, alices_bin):
    other = bin_actions.open_bin(InstanceFactory(owner=alices_bin.instance.owner))
    found = capture(other)
    assert alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/").status_code == 404
    assert alice.get(f"/testing/bins/{other.key}/{found.public_id}/").status_code == 200


def test_an_empty_bin_shows_how_to_make_a_request(alice, alices_bin):
    page = alice.get(f"/testing/bins/{alices_bin.key}/").content.decode()
    assert "Waiting for the first request" in page
    assert f"curl {alices_bin.url} " in page
    assert "Open Webhook Simulation" in page
    assert "A sandbox message" in page


def test_the_list_shows_the_newest_100_then_older_ones(alice, alices_bin):
    for number in range(105):
        capture_actions.capture(alices_bin.key, method="POST", body=b"body %d" % (number + 1))
    first = alice.get(f"/testing/bins/{alices_bin.key}/")
    assert [found.number for found in first.context["captures"]] == list(range(105, 5, -1))
    assert first.context["has_older"] is True
    assert "?before=6" in first.content.decode()
    rest = alice.get(f"/testing/bins/{alices_bin.key}/?before=6", headers=HTMX)
    assert re.findall(r'<li id="capture-(\d+)"', rest.content.decode()) == ["5", "4", "3", "2", "1"]
    assert b"Show older requests" not in rest.content
    assert b"<html" not in rest.content


def test_a_poll_without_news_is_204(alice, alices_bin):
    found = capture(alices_bin)
    response = alice.get(f"/testing/bins/{alices_bin.key}/news/?after={found.number}", headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")


def test_a_poll_returns_captures_after_the_cursor_and_the_next_cursor(alice, alices_bin):
    for _ in range(3):
        capture(alices_bin)
    response = alice.get(f"/testing/bins/{alices_bin.key}/news/?after=1", headers=HTMX)
    assert [found.number for found in response.context["captures"]] == [3, 2]
    page = response.content.decode()
    assert 'id="cursor" name="after" value="3" hx-swap-oob="true"' in page
    assert page.count("<li ") == 2
    assert 'id="bin-count" hx-swap-oob="true"' in page
    assert 'id="verification"' not in page


@pytest.mark.parametrize("after", ["", "x", "-1", "9" * 30, "²"])
def test_an_invalid_cursor_starts_at_the_beginning(alice, alices_bin, after):
    capture(alices_bin)
    response = alice.get(f"/testing/bins/{alices_bin.key}/news/", {"after": after}, headers=HTMX)
    assert [found.number for found in response.context["captures"]] == [1]


def test_the_queries_of_a_poll_do_not_depend_on_the_rows(alice, alices_bin, django_assert_max_num_queries):
    for _ in range(50):
        capture(alices_bin, b"{}")
    with django_assert_max_num_queries(7):
        alice.get(f"/testing/bins/{alices_bin.key}/news/?after=0", headers=HTMX)


def test_a_poll_without_news_makes_three_queries(alice, alices_bin, django_assert_num_queries):
    with django_assert_num_queries(3):  # session, user, bin
        alice.get(f"/testing/bins/{alices_bin.key}/news/?after=0&until=", headers=HTMX)


def test_a_capture_is_unread_until_it_is_opened(alice, alices_bin):
    found = capture(alices_bin)
    address = f"/testing/bins/{alices_bin.key}/"
    assert 'class="capture-row unread"' in alice.get(address).content.decode()
    assert alice.get(f"{address}{found.public_id}/", headers=HTMX).status_code == 200
    assert 'class="capture-row"' in alice.get(address).content.decode()
    found.refresh_from_db()
    first_read_at = found.read_at
    alice.get(f"{address}{found.public_id}/")
    found.refresh_from_db()
    assert found.read_at == first_read_at


def test_the_pane_explains_the_hook_and_its_fields(alice, alices_bin):
    body = {
        "ack": [{"id": "true_1@c.us_3EB0", "queueNumber": 3, "chatId": "1@c.us", "status": "viewed"}],
        "instanceId": "1",
    }
    found = capture(alices_bin, json.dumps(body).encode(), headers=[("webhook-attempt", "2/20")])
    response = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/", headers=HTMX)
    page = response.content.decode()
    assert "Ack <em>viewed</em> for true_1@c.us_3EB0, attempt 2 of 20, not signed." in page
    assert "blue ticks: the recipient has opened it" in page
    assert "<html" not in page


def test_without_htmx_a_capture_is_a_whole_page(alice, alices_bin):
    found = capture(alices_bin, b"just text")
    page = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/?tab=raw").content.decode()
    assert "<html" in page
    assert "just text" in page
    assert re.search(r'class="nav-link active"\s+id="tab-raw"', page)
    assert '<input type="hidden" id="tab" name="tab" value="raw">' in page


def test_captured_markup_is_escaped_everywhere(alice, alices_bin):
    markup = "<script>alert(1)</script>"
    found = capture(alices_bin, markup.encode(), query=markup, path=f"/{markup}", headers=[(markup, markup)])
    for address in (f"/testing/bins/{alices_bin.key}/", f"/testing/bins/{alices_bin.key}/{found.public_id}/"):
        assert markup not in alice.get(address).content.decode()


def test_a_body_is_a_download_and_never_rendered(alice, alices_bin):
    found = capture(alices_bin, b"<html>\xff")
    response = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/body/")
    assert response.content == b"<html>\xff"
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="capture-1.bin"'
    assert response["X-Content-Type-Options"] == "nosniff"


def test_the_page_shows_how_many_were_dropped(alice, alices_bin):
    bin_actions.Bin.objects.update(captured=612, dropped=112)
    Capture.objects.create(bin=alices_bin, number=612, method="POST")
    page = alice.get(f"/testing/bins/{alices_bin.key}/").content.decode()
    assert '<span class="nums">112</span> dropped.' in page


@pytest.mark.parametrize("key", ["%00", "abc%00efgh", "ABCDEFGH", "abcdefghi"])
@pytest.mark.parametrize("rest", ["", "news/", "abc/", "abc/body/"])
def test_a_malformed_key_is_404(alice, key, rest):
    assert alice.get(f"/testing/bins/{key}/{rest}").status_code == 404


def test_a_malformed_id_is_404(alice, alices_bin):
    assert alice.get(f"/testing/bins/{alices_bin.key}/%00/").status_code == 404


def test_half_a_surrogate_pair_in_a_hook_breaks_no_page(alice, alices_bin):
    found = capture(
        alices_bin, rb'{"messages":[{"id":"\ud800","body":"\ud800","\ud800":1}],"instanceId":"1"}'
    )
    assert [alice.get(page).status_code for page in pages_of(alices_bin, found)] == [200, 200, 200, 200]


HEADERS = [
    ("Host", "example.org"), ("X_Under", "1"), ("ALPHA", "1"), ("x-empty", ""), ("Alpha", "2"), ("X-Umlaut", "ä→"),
]  # fmt: skip


def test_headers_are_shown_as_they_were_sent(alice, alices_bin):
    found = capture(alices_bin, b"abc", headers=HEADERS, path="/a%2Fb/%41", query="x=%c3", http_version="1.0")
    answer = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/", {"tab": "headers"})
    page = html.unescape(answer.content.decode())
    raw = f"POST /bin/{alices_bin.key}/a%2Fb/%41?x=%c3 HTTP/1.0\n"
    assert raw + "".join(f"{name}: {value}\n" for name, value in HEADERS) + "\nabc" in page
    table = re.findall(r'<th scope="row" class="mono">(.*?)</th>\s*<td class="(.*?)">(.*?)</td>', page)
    assert table[: len(HEADERS)] == [
        (name, "mono", value) if value else (name, "text-secondary", "empty") for name, value in HEADERS
    ]


def test_the_page_and_the_documentation_say_what_is_not_shown(alice, alices_bin):
    found = capture(alices_bin)
    page = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/", {"tab": "headers"})
    assert html.unescape(page.content.decode()).count(NOT_SHOWN) == 2  # Headers and Raw
    assert NOT_SHOWN in " ".join(Path("docs/testing-your-bot.md").read_text().split())


def test_a_signature_is_checked_whatever_the_case_of_its_headers(alice, alices_bin):
    body, at = b'{"messages": []}', timezone.now()
    endpoint = alices_bin.instance.endpoint
    signature = Webhook(endpoint.secret).sign("hook_1", at, body.decode())
    names = [("Webhook-Id", "hook_1"), ("WEBHOOK-TIMESTAMP", str(int(at.timestamp())))]
    found = capture(
        alices_bin, body, headers=[*names, ("Webhook-Signature", signature), ("Webhook-Attempt", "2/20")]
    )
    page = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/").content.decode()
    assert "attempt 2 of 20, signature valid" in page


def test_another_senders_signature_is_checked_whatever_the_case_of_its_headers(alice, alices_bin):
    found = capture(alices_bin, b"{}", headers=[("X-Telegram-Bot-API-Secret-Token", "mine")])
    address = f"/testing/bins/{alices_bin.key}/{found.public_id}/signature/"
    assert "Telegram" in alice.get(address.removesuffix("signature/")).content.decode()
    assert "signature valid" in alice.post(address, {"secret": "mine"}).content.decode().lower()


def test_codings_of_a_repeated_header_are_undone_in_order(alice, alices_bin):
    packed = gzip.compress(zlib.compress(b"plain text"))
    headers = [("Content-Encoding", "deflate"), ("content-encoding", "gzip"), ("CONTENT-TYPE", "text/plain")]
    found = capture(alices_bin, packed, headers=headers)
    page = alice.get(f"/testing/bins/{alices_bin.key}/{found.public_id}/", {"tab": "body"}).content.decode()
    assert "plain text" in page
    assert "decoded from deflate, gzip" in page
