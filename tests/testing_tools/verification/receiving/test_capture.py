"""A bin's URL accepts any request and stores it as received."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import BODY_LIMIT, KEEP_NEWEST, Bin, Capture
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def alices_bin():
    return bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND", "X-ODD"]
)
def test_it_accepts_any_method(client, alices_bin, method):
    answer = client.generic(method, f"/bin/{alices_bin.key}", b"hello", "text/plain")
    assert answer.status_code == 200
    [capture] = Capture.objects.all()
    assert (capture.bin, capture.method, bytes(capture.body), capture.status) == (
        alices_bin,
        method,
        b"hello",
        200,
    )


def test_it_responds_with_a_small_json_object_that_is_never_cached(client, alices_bin):
    answer = client.post(f"/bin/{alices_bin.key}", {"a": 1}, content_type="application/json")
    assert answer.json() == {"ok": True}
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies


def test_path_query_headers_and_body_are_stored_as_received(client, alices_bin):
    client.generic(
        "POST", f"/bin/{alices_bin.key}/a%20b/%0A%00/c?x=1&x=%20", b'{"n": 1.0}', "application/json",
        headers={"webhook-id": "hook_1", "X-Second": "2"},
    )  # fmt: skip
    [capture] = Capture.objects.all()
    assert capture.path == "/a%20b/%0A%00/c"
    assert capture.query == "x=1&x=%20"
    assert bytes(capture.body) == b'{"n": 1.0}'
    assert capture.size == 10
    assert capture.remote_address == "127.0.0.1"
    assert [pair for pair in capture.headers if pair[0] != "cookie"] == [
        ["content-length", "10"], ["content-type", "application/json"], ["webhook-id", "hook_1"], ["x-second", "2"],
    ]  # fmt: skip


def test_binary_bodies_are_stored_byte_for_byte(client, alices_bin):
    client.generic("POST", f"/bin/{alices_bin.key}", bytes(range(256)), "application/octet-stream")
    assert bytes(Capture.objects.get().body) == bytes(range(256))


def test_it_needs_no_csrf_token(alices_bin):
    assert Client(enforce_csrf_checks=True).post(f"/bin/{alices_bin.key}", {"a": "b"}).status_code == 200


def test_the_owners_session_is_not_captured(client, alices_bin):
    client.force_login(alices_bin.instance.owner.owner)
    client.cookies["csrftoken"] = "secret"
    client.cookies["other"] = "kept"
    answer = client.get(f"/bin/{alices_bin.key}", headers={"accept": "text/html"})
    assert answer.json() == {"ok": True}
    cookies = [value for name, value in Capture.objects.get().headers if name == "cookie"]
    assert cookies == ["other=kept"]


def test_the_owners_session_is_not_captured_from_a_second_cookie_header(client, alices_bin):
    client.get(f"/bin/{alices_bin.key}", HTTP_COOKIE="a=1;sessionid=secret;b=2")
    assert ["cookie", "a=1;b=2"] in Capture.objects.get().headers


def test_the_servers_own_environment_is_not_captured(client, alices_bin, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:password@proxy")
    client.get(f"/bin/{alices_bin.key}", HTTP_PROXY="http://user:password@proxy", HTTP_X_REAL="1")
    assert Capture.objects.get().headers == [["x-real", "1"]]


def test_an_unknown_key_is_404_in_plain_text(client, alices_bin):
    answer = client.post("/bin/aaaaaaaa", b"x", content_type="text/plain")
    assert answer.status_code == 404
    assert answer.content == b"No bin has this URL.\n"
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert not Capture.objects.exists()


def test_a_body_over_the_limit_is_not_stored(client, alices_bin):
    whole = client.generic("POST", f"/bin/{alices_bin.key}", b"x" * BODY_LIMIT, "text/plain")
    assert whole.status_code == 200
    answer = client.generic("POST", f"/bin/{alices_bin.key}", b"x" * (BODY_LIMIT + 1), "text/plain")
    assert answer.status_code == 413
    assert answer.json() == {
        "ok": False,
        "error": "A bin stores bodies of up to 1 MB. The request was recorded without its body.",
    }
    kept, stub = Capture.objects.order_by("number")
    assert (kept.size, len(kept.body), kept.too_large) == (BODY_LIMIT, BODY_LIMIT, False)
    assert (stub.size, len(stub.body), stub.too_large) == (BODY_LIMIT + 1, 0, True)
    assert (stub.status, stub.label) == (413, "Too large")


def test_a_hook_is_recognised_on_arrival(client, alices_bin):
    body = {
        "ack": [{"id": "true_1@c.us_3EB0", "queueNumber": 3, "chatId": "1@c.us", "status": "viewed"}],
        "instanceId": "1",
    }
    client.post(
        f"/bin/{alices_bin.key}", json.dumps(body), content_type="application/json",
        headers={"webhook-attempt": "3/20"},
    )  # fmt: skip
    capture = Capture.objects.get()
    assert (capture.family, capture.label, capture.attempt) == ("ack", "Ack viewed", "3/20")
    assert capture.summary == "1@c.us · true_1@c.us_3EB0"


def test_the_newest_500_are_kept_and_the_others_counted(alices_bin):
    for _ in range(KEEP_NEWEST + 7):
        capture_actions.capture(alices_bin.key, method="POST")
    alices_bin.refresh_from_db()
    numbers = list(Capture.objects.kept(alices_bin).values_list("number", flat=True))
    assert numbers == list(range(KEEP_NEWEST + 7, 7, -1))
    assert alices_bin.counts() == (KEEP_NEWEST, 7)


def test_rows_beyond_500_are_removed_a_few_at_a_time_and_stay_counted(alices_bin):
    for _ in range(KEEP_NEWEST + capture_actions.TRIM_EVERY):
        capture_actions.capture(alices_bin.key, method="POST")
    alices_bin.refresh_from_db()
    assert alices_bin.captures.count() == KEEP_NEWEST
    assert alices_bin.dropped == capture_actions.TRIM_EVERY
    assert alices_bin.counts() == (KEEP_NEWEST, capture_actions.TRIM_EVERY)


def test_captures_older_than_seven_days_are_dropped_from_all_bins(alices_bin):
    bobs_bin = bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="bob@example.org")))
    for key in (alices_bin.key, alices_bin.key, bobs_bin.key):
        capture_actions.capture(key, method="POST")
    Capture.objects.exclude(bin=alices_bin, number=2).update(at=timezone.now() - timedelta(days=7, seconds=1))
    alices_bin.refresh_from_db()
    assert alices_bin.counts() == (1, 1)  # already hidden
    assert capture_actions.delete_expired_captures() == 2
    assert capture_actions.delete_expired_captures() == 0
    assert list(Capture.objects.values_list("bin__key", "number")) == [(alices_bin.key, 2)]
    assert list(Bin.objects.order_by("id").values_list("dropped", flat=True)) == [1, 1]


def test_a_bin_is_created_once(alices_bin):
    assert bin_actions.open_bin(alices_bin.instance) == alices_bin
    assert Bin.objects.count() == 1
