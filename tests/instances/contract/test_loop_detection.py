"""A call that is a hook of this site gets 508 with a sentence that names the instance, and changes nothing."""

from typing import Any

import pytest
from django.test import Client

from accounts.actions.keys import issue_key
from hooks.explain.sentences import explain_response
from hooks.http import Response
from hooks.models import Hook, Kind, Outcome
from instances.actions.messages import receive_message
from instances.models import Instance, Message, OutgoingMessage
from tests.factories import InstanceFactory

SEND = "/instance12345/sendMessage?token=secret&phone=17680561234&body=hello"
OF_ITS_OWN = (
    "Loop detected: this call is a hook of instance 12345 of this site, and would cause further hooks. "
    "Set the webhook URL of instance 12345 to your own server, or to a bin to see the hooks."
)


def hook_of(instance: Instance) -> Hook:
    receive_message(instance, sender="17680561234", body="hello")
    return Hook.objects.filter(kind=Kind.MESSAGE).latest("pk")


def call(client: Client, url: str, hook: Hook, **headers: str) -> Any:
    return client.generic("POST", url, bytes(hook.body), "application/json", headers=headers)


def test_a_hook_of_this_site_gets_508_and_the_instance_is_named(client: Client, instance: Instance) -> None:
    hook = hook_of(instance)
    response = call(client, SEND, hook, **{"webhook-id": hook.webhook_id})
    assert (response.status_code, response.json()) == (508, {"error": OF_ITS_OWN})
    assert not OutgoingMessage.objects.exists()
    assert Message.objects.count() == Hook.objects.filter(kind=Kind.MESSAGE).count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "/sendMessage?instanceId=12345&token=secret&phone=17680561234&body=hello",
        "/instance12345/logout?token=secret",
        "/instance12345/sendMessage?token=wrong",
        "/instance12345/status",
        "/newInstance?uid=wrong",
    ],
)
def test_so_does_every_method_with_and_without_its_token(
    client: Client, instance: Instance, url: str
) -> None:
    hook = hook_of(instance)
    response = call(client, url, hook, **{"webhook-id": hook.webhook_id})
    assert (response.status_code, response.json()) == (508, {"error": OF_ITS_OWN})


def test_a_hook_of_another_instance_is_named_by_that_instance(client: Client, instance: Instance) -> None:
    hook = hook_of(InstanceFactory(number=777))
    response = call(client, SEND, hook, **{"webhook-id": hook.webhook_id})
    assert response.status_code == 508
    assert "a hook of instance 777 of this site" in response.json()["error"]
    assert "Set the webhook URL of instance 777 to" in response.json()["error"]


@pytest.mark.parametrize(
    "webhook_id",
    [
        "hook_0190163d8694739b954fd34ac7b3ad13",
        "hook_",
        "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        "\x00",
        "hook_" + "f" * 99,
    ],
)
def test_an_id_of_another_sender_passes(client: Client, instance: Instance, webhook_id: str) -> None:
    response = client.post(SEND, headers={"webhook-id": webhook_id})
    assert (response.status_code, response.json()["sent"]) == (200, True)


def test_a_hook_whose_headers_were_left_out_by_a_forwarder_is_known_by_its_body(
    client: Client, instance: Instance
) -> None:
    response = call(client, SEND, hook_of(instance))
    assert (response.status_code, response.json()) == (508, {"error": OF_ITS_OWN})
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"instanceId": "12345", "messages": [{"id": "false_17680561234@c.us_UNKNOWN"}]},
        {"instanceId": "99999", "messages": [{"id": "false_17680561234@c.us_UNKNOWN"}]},
        {"instanceId": "12345", "messages": []},
        {"instanceId": "12345", "messages": ["text"]},
        {"instanceId": "12345", "messages": [{}]},
        {"instanceId": "12345", "messages": [{"id": {"a": 1}}]},
        {"instanceId": "12345", "messages": [{"id": "\x00"}]},
        {"instanceId": "12345", "ack": [{"id": "\ud800"}]},
        {"instanceId": "12345", "ack": [{"id": "x" * 100_000}]},
        {"instanceId": ["12345"], "ack": {"id": "x"}},
    ],
)
def test_a_body_that_only_looks_like_a_hook_passes(
    client: Client, instance: Instance, body: dict[str, Any]
) -> None:
    response = client.post(SEND, body, content_type="application/json")
    assert (response.status_code, response.json()["sent"]) == (200, True)


def test_a_bot_may_pass_the_messages_of_a_hook_on_with_its_own_arguments(
    client: Client, instance: Instance
) -> None:
    hook = hook_of(instance)
    body = {"phone": "17680561234", "body": "re: hello"} | {"messages": [{"id": hook.message}]}
    response = client.post("/instance12345/sendMessage?token=secret", body, content_type="application/json")
    assert (response.status_code, response.json()["sent"]) == (200, True)


@pytest.mark.parametrize("with_key", [False, True])
def test_rest_refuses_a_hook_too(client: Client, instance: Instance, with_key: bool) -> None:
    hook = hook_of(instance)
    headers = {"webhook-id": hook.webhook_id}
    if with_key:
        _, key = issue_key(instance.owner, acting_user=instance.owner.owner)
        headers["Authorization"] = f"Bearer {key}"
    response = call(client, "/api/v1/instances/12345/sandbox/messages/", hook, **headers)
    assert (response.status_code, response.json()) == (508, {"error": OF_ITS_OWN})
    assert Message.objects.count() == 1


def test_the_log_says_what_to_do() -> None:
    response = Response(Outcome.NOT_200, status=508, body=b'{"error":"%s"}' % OF_ITS_OWN.encode())
    explained = explain_response(response, url="http://127.0.0.1:8000/instance12345/sendMessage")
    assert explained.sentence == (
        "127.0.0.1 responded with 508: it is the API of this site, where the hook would cause further hooks."
    )
    assert explained.next_step == "Set the webhook URL to your own server, or to a bin to see the hooks."
    other = explain_response(Response(Outcome.NOT_200, status=508), url="http://a.example/")
    assert other.sentence == "a.example responded with 508: it detected a loop."
