"""Finds a message of the instance by its id: for a quote, a forward, a deletion or an ack."""

from instances.models import Instance, Message, OutgoingMessage


class UnknownMessage(Exception):
    """The instance has no such message. The text is a sentence for the caller."""


def quote(instance: Instance, message_id: str) -> dict[str, str]:
    """Returns what a message stores of the message it quotes: `{"id","body","type"}`.

    Raises:
        UnknownMessage: the instance has no message with this id.
    """
    found = Message.objects.filter(instance=instance, message_id=message_id).only("body", "type").first()
    if found is None:
        raise UnknownMessage("The message to be quoted was not found.")
    return {"id": message_id, "body": found.body, "type": found.type}


def quote_sent(instance: Instance, message_id: str) -> dict[str, str]:
    """As `quote`, and also finds messages still in the queue, whose ids the caller already knows.

    The queue is searched first: messages move from the queue to the sent messages, never back.
    """
    waiting = (
        OutgoingMessage.objects.waiting().filter(instance=instance, message_id=message_id, deletes="").first()
    )
    if waiting is not None:
        return {"id": message_id, "body": waiting.body, "type": waiting.type}
    return quote(instance, message_id)


def find_sent(instance: Instance, message_id: str) -> Message:
    """Returns a message that the instance has sent, or that was typed on its phone, with its chat.

    Raises:
        UnknownMessage: there is no such message.
    """
    sent = Message.objects.filter(instance=instance, message_id=message_id, from_me=True)
    message = sent.select_related("chat").first()
    if message is None:
        raise UnknownMessage("The instance has sent no message with this id.")
    message.instance = instance
    return message


def sent_with_messenger_id(instance: Instance, messenger_id: str) -> Message:
    """As find_sent, by the id that the messenger has given the message. Raises UnknownMessage."""
    if not messenger_id:
        raise UnknownMessage("The messenger names no message.")
    sent = Message.objects.filter(instance=instance, messenger_id=messenger_id, from_me=True)
    message = sent.select_related("chat").order_by("-number").first()
    if message is None:
        raise UnknownMessage("The instance has sent no message that the messenger knows by this id.")
    message.instance = instance
    return message


def quote_of_messenger(instance: Instance, messenger_id: str) -> dict[str, str] | None:
    """As `quote`, by the messenger's id; None if the messenger quotes a message that is not stored here."""
    if not messenger_id:
        return None
    known = Message.objects.filter(instance=instance, messenger_id=messenger_id).order_by("-number")
    found = known.only("message_id", "body", "type").first()
    return None if found is None else {"id": found.message_id, "body": found.body, "type": found.type}


def find_message(instance: Instance, message_id: str) -> Message | OutgoingMessage:
    """Returns a message of the instance, which may still be in the queue.

    The queue is searched first: messages move from the queue to the sent messages, never back.

    Raises:
        UnknownMessage: the instance has no message with this id.
    """
    waiting = OutgoingMessage.objects.waiting().filter(instance=instance, message_id=message_id, deletes="")
    found = waiting.select_related("media").first()
    if found is not None:
        return found
    message = (
        Message.objects.filter(instance=instance, message_id=message_id)
        .select_related("media", "chat")
        .first()
    )
    if message is None:
        raise UnknownMessage(f"There is no message with the id {message_id[:200]}.")
    return message
