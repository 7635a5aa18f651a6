"""A bin sends the configured response, and nothing that could harm this site or its web server."""

import pytest

from accounts.models import Role
from testing_tools.verification import delays
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.delays import DelayedResponses
from testing_tools.verification.models import Capture
from testing_tools.verification.responses import ConfiguredResponse, InvalidResponse, describe_response, read
from tests.factories import AccountFactory, InstanceFactory, member_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def alices_bin():
    return bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))


@pytest.fixture
def alice(client, alices_bin):
    client.force_login(alices_bin.instance.owner.owner)
    return client


def configure(bin, **fields):
    bin_actions.set_response(bin, response=ConfiguredResponse(**fields), acting_user=None)


def statuses(client, bin, count):
    return [client.post(f"/bin/{bin.key}").status_code for _ in range(count)]


def test_status_headers_and_body_are_as_configured(client, alices_bin):
    configure(alices_bin, status=202, headers=(("Content-Type", "text/plain"), ("X-Mine", "1")), body="grüße")
    answer = client.post(f"/bin/{alices_bin.key}")
    assert (answer.status_code, answer.content.decode()) == (202, "grüße")
    assert (answer["Content-Type"], answer["X-Mine"]) == ("text/plain", "1")
    assert (Capture.objects.get().status, Capture.objects.get().answer_note) == (202, "")


def test_no_response_is_run_or_cached_by_a_browser(client, alices_bin):
    configure(alices_bin, body="<script>alert(1)</script>", headers=())
    answer = client.get(f"/bin/{alices_bin.key}")
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert (answer["X-Content-Type-Options"], answer["Cache-Control"]) == ("nosniff", "no-store")


def test_the_first_three_fail_then_all_succeed(client, alices_bin):
    client.post(f"/bin/{alices_bin.key}")
    configure(alices_bin, fail_first=3)
    assert describe_response(alices_bin) == "500 3 more times, then 200, immediately"
    assert statuses(client, alices_bin, 5) == [500, 500, 500, 200, 200]
    notes = list(Capture.objects.order_by("number").values_list("answer_note", flat=True))
    assert notes == [
        "",
        "configured failure 1 of 3",
        "configured failure 2 of 3",
        "configured failure 3 of 3",
        "",
        "",
    ]
    alices_bin.refresh_from_db()
    assert describe_response(alices_bin) == "200 immediately"


def test_the_url_sets_the_status_of_one_request(client, alices_bin):
    configure(alices_bin, status=201, delay=30)  # both are ignored
    answer = client.post(f"/bin/{alices_bin.key}/503")
    assert (answer.status_code, answer.json()) == (503, {"ok": False, "status": 503})
    capture = Capture.objects.get()
    assert (capture.path, capture.status, capture.answer_note) == ("/503", 503, "as the URL asks")


@pytest.mark.parametrize("path", ["/99", "/100", "/600", "/5033", "/a/503", "/503/a", "/"])
def test_other_paths_do_not_set_the_status(client, alices_bin, path):
    assert client.post(f"/bin/{alices_bin.key}{path}").status_code == 200


def test_statuses_without_a_body_have_none(client, alices_bin):
    for status in (204, 304):
        configure(alices_bin, status=status)
        answer = client.post(f"/bin/{alices_bin.key}")
        assert (answer.status_code, answer.content, answer.get("Content-Type")) == (status, b"", None)


def test_a_delayed_response_is_sent_later_by_the_web_server(client, alices_bin):
    configure(alices_bin, delay=20)
    answer = client.post(f"/bin/{alices_bin.key}")
    assert (answer.status_code, answer.send_after) == (200, 20)
    assert Capture.objects.get().answer_note == "after 20 s"


def test_beyond_the_limit_a_response_is_immediate_and_says_so(client, alices_bin, monkeypatch):
    configure(alices_bin, delay=20)
    for _ in range(delays.MAX_DELAYED_PER_BIN):
        assert delays.WAITING.add(alices_bin.pk, 20)
    answer = client.post(f"/bin/{alices_bin.key}")
    note = "no delay: too many delayed responses were waiting"
    assert (answer.status_code, answer["X-Bin-Note"], hasattr(answer, "send_after")) == (200, note, False)
    assert Capture.objects.get().answer_note == note


def test_delayed_responses_are_limited_and_counted_until_their_end(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(delays.time, "monotonic", lambda: now)
    waiting = DelayedResponses(total=3, per_bin=2)
    assert [waiting.add(1, 10), waiting.add(1, 5), waiting.add(1, 5)] == [True, True, False]
    assert [waiting.add(2, 30), waiting.add(2, 30)] == [True, False]
    now += 5
    assert [waiting.add(1, 30), waiting.add(1, 30), waiting.add(2, 30)] == [True, False, False]
    now += 5
    assert [waiting.add(2, 30), waiting.add(3, 30)] == [True, False]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"status": "199"}, "status", "The status must be a number from 200 to 599."),
        ({"status": "x"}, "status", "The status must be a number from 200 to 599."),
        ({"delay": "30.5"}, "delay", "The delay must be from 0 to 30 seconds."),
        ({"delay": "-1"}, "delay", "The delay must be from 0 to 30 seconds."),
        ({"fail_first": "501"}, "fail_first", "The number of failures must be a number from 0 to 500."),
        ({"headers": "X-A: 1\nnonsense"}, "headers", "Line 2 is not a header: use “Name: value”."),
        ({"headers": "X-A: ü"}, "headers", "Line 1: a value must be ASCII, up to 1000 characters."),
        ({"headers": "Content-Type: text/html"}, "headers",
         "Line 1: a bin sends data only: JSON, XML, CSV, plain text, forms or octets."),
        ({"body": "x" * (64 * 1024 + 1)}, "body", "The body is longer than 64 KB."),
        ({"body": "a\x00"}, "body", "The body contains an invalid character."),
    ],
)  # fmt: skip
def test_an_invalid_response_is_explained_at_its_field(fields, field, words):
    with pytest.raises(InvalidResponse) as refused:
        read({"status": "200"} | fields)
    assert (refused.value.field, str(refused.value)) == (field, words)


@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie", "Location", "Refresh", "Content-Security-Policy", "Strict-Transport-Security", "Clear-Site-Data",
        "X-Accel-Redirect", "X-Sendfile", "X-Content-Type-Options", "Content-Length", "Transfer-Encoding",
        "WWW-Authenticate", "Service-Worker-Allowed", "Access-Control-Allow-Credentials", "Content-Encoding",
    ],
)  # fmt: skip
def test_headers_that_browsers_or_proxies_apply_are_rejected(name):
    with pytest.raises(InvalidResponse, match=f"a bin cannot send {name}"):
        read({"status": "200", "headers": f"{name}: 1"})


@pytest.mark.parametrize(
    ("preset", "status", "said"),
    [
        ("ok", 200, "200 immediately"),
        ("fail", 500, "500 immediately"),
        ("recover", 500, "500 3 more times, then 200, immediately"),
        ("slow", 200, "200 after 20 s"),
    ],
)
def test_a_preset_is_one_click(alice, alices_bin, preset, status, said):
    address = f"/testing/bins/{alices_bin.key}/response/"
    page = alice.post(address, {"preset": preset}, headers={"HX-Request": "true"}).content.decode()
    assert f"Saved. The bin responds {said}." in page
    assert alice.post(f"/bin/{alices_bin.key}").status_code == status


def test_an_invalid_response_changes_nothing_and_keeps_the_form(alice, alices_bin):
    typed = {"status": "200", "delay": "99", "headers": "X-A: 1", "body": "typed", "fail_first": "2"}
    answer = alice.post(f"/testing/bins/{alices_bin.key}/response/", typed)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "The delay must be from 0 to 30 seconds." in page
    assert 'value="99"' in page
    assert "typed</textarea>" in page
    alices_bin.refresh_from_db()
    assert ConfiguredResponse.of(alices_bin) == ConfiguredResponse()


def test_a_viewer_gets_403_and_another_account_404(client, alices_bin):
    viewer = member_of(alices_bin.instance.owner, Role.VIEWER)
    address = f"/testing/bins/{alices_bin.key}/response/"
    for person, status in ((viewer, 403), (AccountFactory(email="bob@example.org").owner, 404)):
        client.force_login(person)
        assert client.post(address, {"preset": "fail"}).status_code == status
    alices_bin.refresh_from_db()
    assert alices_bin.answer_status == 200


@pytest.mark.parametrize("kind", ["application/xml", "text/xml; charset=utf-8"])
def test_xml_is_a_download_because_pages_and_svg_are_xml(client, alices_bin, kind):
    configure(alices_bin, headers=(("Content-Type", kind),), body='<svg xmlns="http://www.w3.org/2000/svg"/>')
    answer = client.get(f"/bin/{alices_bin.key}")
    assert answer["Content-Disposition"] == 'attachment; filename="response.xml"'
    assert answer["Content-Type"] == kind


@pytest.mark.parametrize(
    "name", ["X-LiteSpeed-Location", "X-Reproxy-URL", "X-Accel-Redirect", "Refresh", "Link"]
)
def test_more_headers_that_browsers_or_proxies_apply_are_rejected(name):
    with pytest.raises(InvalidResponse):
        read({"status": "200", "headers": f"{name}: /etc/passwd"})


def test_cookies_of_this_site_are_not_stored(client, alices_bin):
    client.cookies.load({"sessionid": "s3", "csrftoken": "c3", "messages": "alice", "theirs": "1"})
    client.get(f"/bin/{alices_bin.key}")
    assert ["cookie", "theirs=1"] in Capture.objects.get().headers
