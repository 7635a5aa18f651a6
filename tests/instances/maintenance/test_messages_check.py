"""`manage.py messages check` reports whether an accepted message was lost, and from which instance."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from instances.actions.cleaning import clean_instance
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.sending.forwarding import delete_message
from instances.actions.sending.message_queue import clear_messages
from instances.models import Ack, Instance, Message, OutgoingMessage, OutgoingQueue, SendState
from instances.sending.outgoing import send_due
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)
ANNA = "17680561234@c.us"


def check(*options: str) -> tuple[int, str]:
    """Runs the command; returns its exit code and what it printed."""
    output = StringIO()
    try:
        call_command("messages", "check", *options, stdout=output)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue()
    return 0, output.getvalue()


def fail(message: OutgoingMessage) -> None:
    OutgoingMessage.objects.filter(pk=message.pk).update(state=SendState.FAILED, failed_at=timezone.now())
    OutgoingQueue.objects.filter(pk=message.instance_id).shorten(1)


@pytest.fixture
def instance() -> Instance:
    """Six accepted messages: a queued one, a failed one, and one sent, delivered, viewed and removed each."""
    instance = InstanceFactory()
    for text in ("sent", "delivered", "viewed"):
        send_message(instance, chat_id=ANNA, body=text)
    while send_due():
        pass
    for ack in Ack:  # whatever the sandbox's contact has done
        Message.objects.filter(instance=instance, body=ack.label).update(ack=ack)
    receive_message(instance, sender="17680561234", body="a contact's message is not accepted by the API")
    send_message(instance, chat_id=ANNA, body="cleared")
    clear_messages(instance)
    fail(send_message(instance, chat_id=ANNA, body="failed"))
    send_message(instance, chat_id=ANNA, body="queued")
    return instance


def line(instance: Instance, verdict: str, *, queued: int = 1) -> str:
    return (
        f"instance key {instance.pk}: 6 accepted = {queued} queued + 0 sending + 1 sent + 1 delivered + 1 viewed"
        f" + 1 failed + 1 removed: {verdict}\n"
    )


def test_the_sum_of_every_state_is_what_was_accepted(instance: Instance) -> None:
    assert check() == (0, line(instance, "ok") + "1 instances checked, 0 wrong.\n")


def test_a_lost_message_is_reported(instance: Instance) -> None:
    InstanceFactory()
    OutgoingMessage.objects.waiting().delete()
    code, text = check()
    assert code == 1
    assert line(instance, "WRONG, 1 missing, the length of the queue is 1", queued=0) in text
    assert text.endswith("2 instances checked, 1 wrong.\n")


def test_a_doubled_message_is_reported(instance: Instance) -> None:
    OutgoingQueue.objects.update(removed=2)
    code, text = check()
    assert code == 1
    assert "+ 1 failed + 2 removed: WRONG, -1 missing\n" in text


def test_a_queue_that_would_never_be_sent_is_reported(instance: Instance) -> None:
    OutgoingQueue.objects.update(length=0)
    assert check()[0] == 1
    assert line(instance, "WRONG, the length of the queue is 0") in check()[1]


def test_programs_read_json(instance: Instance) -> None:
    code, text = check("--json")
    found = json.loads(text)
    assert (code, found["checked"], found["wrong"]) == (0, 1, 0)
    [row] = found["instances"]
    assert row == {
        "instance": instance.pk,
        "accepted": 6,
        "queued": 1,
        "sending": 0,
        "sent": 1,
        "delivered": 1,
        "viewed": 1,
        "failed": 1,
        "removed": 1,
        "missing": 0,
        "length": 1,
        "miscounted": 0,
    }


def test_a_failure_that_the_messenger_reports_later_does_not_lower_an_ack(instance: Instance) -> None:
    Message.objects.filter(body__in=("sent", "viewed")).update(failed_at=timezone.now(), failure="expired")
    found = json.loads(check("--json")[1])["instances"][0]
    assert (found["sent"], found["viewed"], found["failed"], found["missing"]) == (0, 1, 2, 0)


def test_deletions_and_cleaned_instances_are_counted_as_removed(instance: Instance) -> None:
    sent = Message.objects.filter(instance=instance, body="sent").get()
    delete_message(instance, message_id=sent.message_id)
    while send_due():
        pass
    assert check()[0] == 0
    clean_instance(instance, acting_user=None)
    assert check()[1].startswith(
        f"instance key {instance.pk}: 7 accepted = 0 queued + 0 sending + 0 sent + 0 delivered + 0 viewed + 0 failed"
        " + 7 removed: ok"
    )
