"""What an instance shows of a group that its messenger reports, for the tests of each channel."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from hooks.models import Hook
from instances.models import Instance, Participant


def people(chat_id: str) -> dict[str, bool]:
    """Returns the participants of the group, each with whether they are an admin, in the order of their entry."""
    found = Participant.objects.filter(chat__chat_id=chat_id).order_by("id")
    return dict(found.values_list("member", "is_admin"))


def shown_names(instance: Instance, chat_id: str) -> dict[str, str]:
    """Returns the names of the participants as `dialog` shows them; the instance's token is "secret"."""
    url = f"/instance{instance.number}/dialog"
    shown = Client().get(url, {"token": "secret", "chatId": chat_id}).json()
    return {one["id"]: one["name"] for one in shown["metadata"]["participantsInfo"]}


def updates(instance: Instance) -> list[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Returns the old and the new chat of each chatUpdate hook, oldest first."""
    bodies = Hook.objects.filter(endpoint=instance.pk, kind="chat").order_by("id")
    found = [json.loads(bytes(body))["chatUpdate"] for body in bodies.values_list("body", flat=True)]
    return [(change["old"], change["new"]) for [change] in found]
