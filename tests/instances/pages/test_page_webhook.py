"""The webhook URL: validated while it is typed, tested and saved; and how receivers verify signatures."""

import json
import shutil
import subprocess
import time

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from hooks.models import Endpoint, Hook, Kind, Outcome, SkipReason, State
from instances.actions.settings import change_settings
from instances.models import Instance
from instances.pages.overview import signature_snippets
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def post(client, path, url):
    return client.post(f"/instances/12345/address/{path}", {"url": url}, headers=HTMX).content.decode()


def test_the_address_is_checked_saved_and_read_back(alice, instance):
    card = post(alice, "", " HTTPS://Bot.example.com/in ")
    assert "Saved." in card
    assert 'value="https://bot.example.com/in"' in card
    assert Endpoint.objects.get(pk=instance.pk).url == "https://bot.example.com/in"


def test_an_unchanged_address_stays_as_it_was_typed(alice, instance):
    change_settings(instance, changes={"webhookUrl": "https://Bot.example.com"})
    assert 'value="https://bot.example.com/"' in alice.get("/instances/12345/").content.decode()
    post(alice, "", "https://bot.example.com/")
    assert Endpoint.objects.get(pk=instance.pk).shown_url == "https://Bot.example.com"


def test_a_wrong_address_is_explained_and_changes_nothing(alice, instance):
    card = post(alice, "", "htp://bot")
    assert "The URL must start with http:// or https://. Nothing was changed." in card
    assert Endpoint.objects.get(pk=instance.pk).url == "https://example.com/hook"


def test_an_empty_address_switches_hooks_off(alice, instance):
    card = post(alice, "", "")
    assert "This instance has no URL now" in card
    assert Endpoint.objects.get(pk=instance.pk).url == ""


def test_what_is_wrong_is_said_while_it_is_typed_and_nothing_is_saved(alice, instance):
    assert "The URL must start with http:// or https://." in post(alice, "check/", "htp://bot")
    assert "Valid URL." in post(alice, "check/", "https://bot.example.com/")
    assert "This is the current URL." in post(alice, "check/", "https://example.com/hook")
    assert "Without a URL no hooks are sent" in post(alice, "check/", "")
    assert Endpoint.objects.get(pk=instance.pk).url == "https://example.com/hook"


def test_a_test_says_what_came_and_saves_nothing(alice, instance):
    with Receiver() as receiver:
        assert "127.0.0.1 responded with 200" in post(alice, "test/", receiver.url)
        [request] = receiver.wait_for(1)
        Webhook(instance.endpoint.secret).verify(request.body.decode(), request.headers)
        receiver.answers = [(500, {}, b"KeyError: 'messages'")]
        card = post(alice, "test/", receiver.url)
        assert "KeyError: &#x27;messages&#x27;" in card
        assert "box-bad" in card
    assert [hook.simulated for hook in Hook.objects.filter(endpoint_id=instance.pk)] == [True, True]
    assert Endpoint.objects.get(pk=instance.pk).url == "https://example.com/hook"


def test_a_server_that_is_not_there_is_said_to_be_not_there(alice, instance):
    with Receiver() as receiver:
        url = receiver.url
    card = post(alice, "test/", url)
    assert "no response, " in card
    assert Hook.objects.get(endpoint_id=instance.pk).last_outcome == Outcome.REFUSED


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("htp://bot", "The URL must start with http:// or https://."), ("", "There is no URL yet")],
)
def test_what_is_no_address_is_not_tested(alice, instance, url, sentence):
    assert sentence in post(alice, "test/", url)
    assert Hook.objects.filter(endpoint_id=instance.pk).count() == 0


def test_an_instance_that_is_not_paid_tests_nothing(alice, instance):
    Instance.objects.update(paid_until=instance.created_at)
    assert "This instance is not paid" in post(alice, "test/", "https://example.com/hook")
    assert Hook.objects.filter(endpoint_id=instance.pk).count() == 0


SECRET = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
BODY = b'{"messages":[{"body":"h\xc3\xa9"}],"instanceId":"12345"}'


def signed(stamp):
    """Headers of a hook that bears the signature of a secret that is gone beside the one that is in force."""
    import datetime

    at = datetime.datetime.fromtimestamp(stamp, datetime.UTC)
    signature = Webhook(SECRET).sign("hook_1", at, BODY.decode())
    return {
        "webhook-id": "hook_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"v1,bm90aGluZw== {signature}",
    }


def in_python(headers, body):
    names: dict = {}
    exec(signature_snippets.PYTHON, names)
    return names["is_signed"](headers, body, SECRET)


def in_node(headers, body):
    call = f"isSigned({json.dumps(headers)}, Buffer.from('{body.hex()}', 'hex'), '{SECRET}')"
    return run(["node", "-e", f"{signature_snippets.NODE}\nconsole.log({call})"]) == "true"


def in_php(headers, body):
    given = f"json_decode('{json.dumps(headers)}', true), hex2bin('{body.hex()}'), '{SECRET}'"
    code = signature_snippets.PHP.removeprefix("<?php\n")
    return run(["php", "-r", f"{code}\nvar_export(is_signed({given}));"]) == "true"


def run(command):
    assert shutil.which(command[0]), f"{command[0]} is missing: make debian"
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("check", [in_python, in_node, in_php])
def test_the_snippets_tell_a_real_hook_from_a_false_one(check):
    now = int(time.time())
    assert check(signed(now), BODY) is True
    assert check(signed(now), BODY + b" ") is False
    assert check(signed(now - 600), BODY) is False


def test_the_snippets_stand_beside_the_secret(alice):
    page = alice.get("/instances/12345/").content.decode()
    for word in ("Python", "Node.js", "PHP", "hmac.compare_digest", "hash_equals"):
        assert word in page


def finished(instance, kind, state, count, message="", **fields):
    """Hooks that were sent, or wait for a retry."""
    now = timezone.now()
    done = {"next_attempt_at": now} if state == State.RETRYING else {"finished_at": now}
    for _ in range(count):
        Hook.objects.create(
            endpoint_id=instance.pk, kind=kind, state=state, body=b"{}", message=message, **done, **fields
        )


def overview(alice):
    return " ".join(alice.get("/instances/12345/").content.decode().split())


def test_an_endpoint_that_fails_every_ack_hook_and_no_other(alice, instance):
    finished(instance, Kind.MESSAGE, State.DELIVERED, 4, message="false_1")
    finished(instance, Kind.ACK, State.FAILED, 3)
    page = overview(alice)
    assert "Your endpoint fails every ack hook and no other: 3 of the newest hooks." in page
    assert '<a href="#flag-ackNotificationsOn">switch acks off</a>' in page
    assert 'id="flag-ackNotificationsOn"' in page
    assert "/log/?instance=12345&amp;kind=ack" in page


@pytest.mark.parametrize(
    ("kind", "message", "words"),
    [
        (Kind.STATUS, "", "fails every status hook and no other: 5 of"),
        (Kind.CHAT, "", "fails every chat change hook and no other: 5 of"),
        (
            Kind.MESSAGE,
            "true_1",
            "fails every hook of your own messages (`fromMe` is true) and no other: 5 of",
        ),
        (Kind.MESSAGE, "false_1", "fails every hook of received messages and no other: 5 of"),
    ],
)
@pytest.mark.parametrize("state", [State.FAILED, State.RETRYING])
def test_an_endpoint_that_fails_every_hook_of_another_kind(alice, instance, kind, message, words, state):
    finished(instance, Kind.ACK, State.DELIVERED, 4)
    finished(instance, kind, state, 5, message=message)
    assert words in overview(alice)


@pytest.mark.parametrize(
    "hooks",
    [
        [(Kind.ACK, State.FAILED, 2), (Kind.MESSAGE, State.DELIVERED, 9)],  # too few for a rule
        [(Kind.ACK, State.FAILED, 9)],  # all hooks fail
        [(Kind.ACK, State.FAILED, 9), (Kind.ACK, State.DELIVERED, 1), (Kind.MESSAGE, State.DELIVERED, 9)],
        [(Kind.ACK, State.FAILED, 9), (Kind.MESSAGE, State.FAILED, 1), (Kind.CHAT, State.DELIVERED, 9)],
        [(Kind.ACK, State.SKIPPED, 9), (Kind.MESSAGE, State.DELIVERED, 9)],
    ],
)
def test_an_endpoint_that_fails_otherwise_is_not_said_to_fail_one_kind(alice, instance, hooks):
    for kind, state, count in hooks:
        more = {"skip_reason": SkipReason.FLAG_OFF} if state == State.SKIPPED else {}
        finished(instance, kind, state, count, message="false_1", **more)
    assert "and no other" not in overview(alice)


def test_simulated_hooks_do_not_count_as_failures_of_a_kind(alice, instance):
    finished(instance, Kind.MESSAGE, State.DELIVERED, 4, message="false_1")
    finished(instance, Kind.ACK, State.FAILED, 5, simulated=True)
    assert "and no other" not in overview(alice)
