"""Signatures of other senders are known by their headers and checked with a secret that is kept nowhere."""

import base64
import hashlib
import hmac

import pytest

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from testing_tools.verification.reading.other_signatures import SignedRequest, check, scheme_of
from tests.factories import AccountFactory, InstanceFactory

BODY = b'{"object":"whatsapp_business_account","entry":[]}'
META = "sha256=c6f9cab4a429d2f621d2b43235ccdc1f8c353f3e7902d9b6dbcacf4e84b22ff3"
STANDARD = {
    "webhook-id": "msg_1", "webhook-timestamp": "1700000000",
    "webhook-signature": "v1,AAAA v1,N37d6s2mNGmLnOCkzbFl4W7QMQYGYhL29OH+1cJ0N/Y=",
}  # fmt: skip
# Most are the worked examples of the reference.
CASES = [
    ("Meta or GitHub", "app-secret-demo", SignedRequest(BODY, {"x-hub-signature-256": META})),
    ("Standard Webhooks", "demo-secret", SignedRequest(b'{"a":1}', STANDARD)),
    (
        "Standard Webhooks",
        "whsec_" + base64.b64encode(b"demo-secret").decode(),
        SignedRequest(b'{"a":1}', STANDARD),
    ),
    (
        "Svix",
        "demo-secret",
        SignedRequest(b'{"a":1}', {f"svix{name[7:]}": value for name, value in STANDARD.items()}),
    ),
    (
        "Twilio",
        "auth-demo",
        SignedRequest(
            b"Body=hi&From=whatsapp%3A%2B1",
            {"x-twilio-signature": "8Jwt3W/m9rpp/E6jh4ueYMRC00s="},
            "https://example.com/hook",
            (("From", "whatsapp:+1"), ("Body", "hi")),
        ),
    ),
    ("WAHA", "k", SignedRequest(b"x", {"x-webhook-hmac": hmac.new(b"k", b"x", hashlib.sha512).hexdigest()})),
    (
        "Outpost",
        "k",
        SignedRequest(
            b"x", {"x-outpost-signature": f"v0=00,{hmac.new(b'k', b'x', hashlib.sha256).hexdigest()}"}
        ),
    ),
    ("Telegram", "s3cret", SignedRequest(b"", {"x-telegram-bot-api-secret-token": "s3cret"})),
    ("green-api, or any token", "tok", SignedRequest(b"", {"authorization": "Bearer tok"})),
]


@pytest.mark.parametrize(("name", "secret", "request_"), CASES)
def test_each_scheme_is_known_by_its_header_and_checked_by_its_rule(name, secret, request_):
    scheme = scheme_of(request_.headers)
    assert scheme is not None and scheme.name == name
    assert check(scheme, secret, request_).state == "valid"
    assert check(scheme, f"{secret}x", request_).state == "invalid"
    if request_.form:
        changed = request_._replace(url="https://example.com/other")
    elif name in ("Telegram", "green-api, or any token"):
        changed = request_._replace(headers={scheme.header: "another"})
    else:
        changed = request_._replace(body=request_.body + b" ")
    assert check(scheme, secret, changed).state == "invalid"


def test_a_request_without_any_known_header_is_of_no_scheme():
    assert scheme_of({"content-type": "text/plain"}) is None


def test_a_secret_that_can_be_none_is_said_so():
    scheme = scheme_of(STANDARD)
    assert scheme is not None
    found = check(scheme, "whsec_***", SignedRequest(b"", STANDARD))
    assert (found.state, found.why) == ("invalid", "The part after whsec_ is not Base64.")


@pytest.mark.django_db
def test_the_page_says_what_it_looks_like_and_checks_it_without_keeping_the_secret(client):
    instance = InstanceFactory(owner=AccountFactory(email="alice@example.org"))
    bin = bin_actions.open_bin(instance)
    capture_actions.capture(bin.key, method="POST", body=BODY, headers=[("x-hub-signature-256", META)])
    client.force_login(instance.owner.owner)
    page = f"/testing/bins/{bin.key}/{Capture.objects.get().public_id}/"
    assert "suggests <strong>Meta or GitHub</strong>" in client.get(page).content.decode()
    for secret, words in (
        ("app-secret-demo", "Signature valid."),
        ("wrong-one", "Signature does not match."),
    ):
        said = client.post(f"{page}signature/", {"secret": secret}).content.decode()
        assert words in said
        assert secret not in said
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert client.post(f"{page}signature/", {"secret": "x"}).status_code == 404
