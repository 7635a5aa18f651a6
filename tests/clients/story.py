"""A client of the API in Python, typed by what openapi-python-client generates. It runs in .venv/clients.

story.py SITE KEY INSTANCE RECEIVER prints what it has found as JSON. story.ts does the same in TypeScript.
"""

import json
import sys
import time

from chat_api_client import AuthenticatedClient
from chat_api_client.api.endpoints import (
    add_endpoint,
    get_endpoint_health,
    get_endpoint_statistics,
    pause_endpoint,
    remove_endpoint,
    resume_endpoint,
)
from chat_api_client.api.endpoints import test_endpoint as send_test
from chat_api_client.api.hooks import list_hooks
from chat_api_client.api.instances import read_instance
from chat_api_client.api.redeliveries import create_redelivery
from chat_api_client.api.sandbox import receive_sandbox_message
from chat_api_client.models.endpoint import Endpoint
from chat_api_client.models.error import Error
from chat_api_client.models.filters import Filters
from chat_api_client.models.health import Health
from chat_api_client.models.hook import Hook
from chat_api_client.models.hook_state import HookState
from chat_api_client.models.instance import Instance
from chat_api_client.models.kind_enum import KindEnum
from chat_api_client.models.list_hooks_state_item import ListHooksStateItem
from chat_api_client.models.message import Message
from chat_api_client.models.message_hook import MessageHook
from chat_api_client.models.new_endpoint import NewEndpoint
from chat_api_client.models.new_redelivery import NewRedelivery
from chat_api_client.models.new_sandbox_message import NewSandboxMessage
from chat_api_client.models.paginated_hook_list import PaginatedHookList
from chat_api_client.models.preview import Preview
from chat_api_client.models.statistics import Statistics


def find_hook(client: AuthenticatedClient, message: str, endpoint: str) -> Hook:
    """Returns the delivered hook of a message."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = list_hooks.sync(
            client=client, message=message, endpoint=int(endpoint), state=[ListHooksStateItem.DELIVERED]
        )
        assert isinstance(found, PaginatedHookList), found
        if found.results:
            return found.results[0]
        time.sleep(0.05)
    raise TimeoutError(message)


def run_story(site: str, key: str, number: str, receiver: str) -> dict[str, object]:
    client = AuthenticatedClient(base_url=site, token=key)
    instance = read_instance.sync(number, client=client)
    assert isinstance(instance, Instance), instance

    endpoint = add_endpoint.sync(
        number,
        client=client,
        body=NewEndpoint(url=receiver, name="Python", filters=Filters(families=[KindEnum.MESSAGE])),
    )
    assert isinstance(endpoint, Endpoint), endpoint
    tested = send_test.sync(number, endpoint.id, client=client)
    assert isinstance(tested, Hook), tested
    paused = pause_endpoint.sync(number, endpoint.id, client=client)
    assert isinstance(paused, Endpoint) and paused.paused_at
    resumed = resume_endpoint.sync(number, endpoint.id, client=client)
    assert isinstance(resumed, Endpoint) and resumed.paused_at is None

    message = receive_sandbox_message.sync(
        number, client=client, body=NewSandboxMessage(from_="17680561234", name="Ann", body="hello")
    )
    assert isinstance(message, Message), message
    hook = find_hook(client, message.id, endpoint.id)
    assert hook.body is not None
    event = MessageHook.from_dict(json.loads(hook.body))
    preview = create_redelivery.sync(
        client=client, body=NewRedelivery(dry_run=True, instance=number, endpoint=endpoint.id)
    )
    assert isinstance(preview, Preview), preview
    statistics = get_endpoint_statistics.sync(number, endpoint.id, client=client)
    assert isinstance(statistics, Statistics), statistics
    health = get_endpoint_health.sync(number, endpoint.id, client=client)
    assert isinstance(health, Health), health
    unknown = read_instance.sync_detailed("1", client=client)
    assert isinstance(unknown.parsed, Error)
    removed = remove_endpoint.sync_detailed(number, endpoint.id, client=client)
    return {
        "channel": instance.channel.value,
        "tested": tested.state is HookState.DELIVERED,
        "delivered": hook.state is HookState.DELIVERED,
        "status": hook.attempts[0].answer.status if hook.attempts[0].answer else None,
        "text": event.messages[0].body,
        "from_me": event.messages[0].from_me,
        "resendable": preview.count,
        "counted": [statistics.counts.delivered > 0, statistics.durations.hooks],
        "healthy": [health.measured, health.failure is None],
        "unknown": [int(unknown.status_code), unknown.parsed.error],
        "removed": int(removed.status_code),
    }


if __name__ == "__main__":
    print(json.dumps(run_story(*sys.argv[1:])))
