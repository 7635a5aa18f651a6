"""Rotation of the signing secret: for 24 hours hooks are signed with the old secret too."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from hooks.actions.endpoints import end_previous_secret, rotate_secret
from hooks.actions.simulation import simulate
from hooks.models import Endpoint, Kind
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, emit
from tests.receiver import Receiver


def stored(endpoint: Endpoint) -> Endpoint:
    return Endpoint.objects.get(pk=endpoint.pk)


def test_the_old_secret_is_valid_for_a_day(endpoint: Endpoint) -> None:
    old = endpoint.secret
    began = timezone.now()
    new = rotate_secret(endpoint, acting_user=None)
    kept = stored(endpoint)
    assert kept.valid_secrets() == [new, old]
    until = kept.previous_secret_until
    assert until is not None
    assert began + timedelta(hours=24) <= until <= timezone.now() + timedelta(hours=24)
    assert kept.valid_secrets(until - timedelta(seconds=1)) == [new, old]
    assert kept.valid_secrets(until) == [new]


def test_a_second_rotation_within_the_day_ends_the_oldest(endpoint: Endpoint) -> None:
    first = rotate_secret(endpoint, acting_user=None)
    second = rotate_secret(endpoint, acting_user=None)
    assert stored(endpoint).valid_secrets() == [second, first]


def test_a_leaked_secret_can_end_immediately(endpoint: Endpoint) -> None:
    new = rotate_secret(endpoint, acting_user=None, keep_old=False)
    assert stored(endpoint).valid_secrets() == [new]
    newer = rotate_secret(endpoint, acting_user=None)
    end_previous_secret(endpoint, acting_user=None)
    assert stored(endpoint).valid_secrets() == [newer]
    assert stored(endpoint).secret == newer


@pytest.mark.django_db(transaction=True)
def test_hooks_verify_with_both_secrets_for_a_day_then_only_with_the_new_one(
    tmp_path: Path,
) -> None:
    with Receiver() as receiver, Dispatch(tmp_path):
        endpoint = InstanceFactory(url=receiver.url).endpoint
        old = endpoint.secret
        new = rotate_secret(endpoint, acting_user=None)
        emit(endpoint)
        simulated = simulate(endpoint, kind=Kind.ACK, body=b'{"n":9}', to_url=receiver.url, acting_user=None)
        receiver.wait_for(2)
        Endpoint.objects.update(previous_secret_until=timezone.now())
        emit(endpoint)
        receiver.wait_for(3)
        *both, alone = receiver.requests
    assert simulated.webhook_id in {request.headers["webhook-id"] for request in both}
    for request in both:
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        for secret in (old, new):
            assert Webhook(secret).verify(request.body, dict(request.headers)) == json.loads(request.body)
    assert Webhook(new).verify(alone.body, dict(alone.headers)) == {"n": 0}
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(alone.body, dict(alone.headers))
