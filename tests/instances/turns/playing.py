"""Received messages whose hooks have attempts, and calls, at times that a test chooses."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.models import Instance, Message, OutgoingMessage
from instances.sending.outgoing import send_due
from tests.hooks.attempted import attempt_hook

ANNA, BERT, OPERATOR = "17680561234@c.us", "4915112345678@c.us", "15550009999@c.us"
START = timezone.now().replace(microsecond=0) - timedelta(hours=1)


def seconds(number: float) -> datetime:
    return START + timedelta(seconds=number)


def receive(
    instance: Instance, chat: str, body: str, *, at: float, status: int | None = 200
) -> tuple[Message, Hook]:
    """A contact writes, and the hook has one attempt, of 5 ms. `status` None: it has none."""
    message = receive_message(instance, sender=chat, body=body, time=seconds(at))
    Message.objects.filter(pk=message.pk).update(time=seconds(at))
    message.refresh_from_db()
    hook = Hook.objects.get(message=message.message_id, kind="message")
    Hook.objects.filter(pk=hook.pk).update(created_at=seconds(at))
    if status is not None:
        hook = attempt_hook(instance.endpoint, status, at=seconds(at), hook=hook)
    return message, hook


def call(
    instance: Instance, chat: str, body: str, *, at: float, sends: bool = True, quote: str | None = None
) -> OutgoingMessage:
    """The bot calls sendMessage; the message is sent, or stays in the queue."""
    message = send_message(instance, chat_id=chat, body=body, quoted_id=quote)
    OutgoingMessage.objects.filter(pk=message.pk).update(created_at=seconds(at))
    if sends:
        send_due()
    return message
