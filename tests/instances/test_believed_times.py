"""A message has the messenger's time, unless that cannot be right: strangers' servers report some of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.utils.timezone import now

from instances.actions.received import record_events
from instances.models import Chat, Message
from instances.received_events import MessageReceived
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("reported", "is_believed"),
    [
        (datetime(2020, 5, 1, tzinfo=UTC), True),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), False),  # before year 1 in UTC
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))), False),  # in year 10000
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(2999, 1, 1, tzinfo=UTC), False),
        (None, False),
    ],
)
def test_a_message_has_a_time_that_can_be_read_back(reported: datetime | None, is_believed: bool) -> None:
    instance, before = InstanceFactory(), now()
    event = MessageReceived(key="1", sender="17680561234", body="hi", time=reported)
    assert not record_events(instance, [event], is_patient=False).refused
    message, chat = Message.objects.get(instance=instance), Chat.objects.get(instance=instance)
    assert message.time == reported if is_believed else before <= message.time <= now()
    assert chat.last_time == message.time
