"""Labels, and the chats that have them."""

import re

from django.db import transaction

from instances.actions import events
from instances.actions.chats.chats import Denied, find_chat
from instances.models import Chat, Instance, Label

LABEL_LIMIT = 100  # of one instance; *ours*
NAME_LIMIT = 100  # characters
COLOR = "#00a0f2"  # of a label created without a color

_COLOR = re.compile(r"#?([0-9a-f]{6}|[0-9a-f]{3})", re.IGNORECASE)


def parse_hex_color(value: str) -> str:
    """Returns `#rrggbb` in lower case; also accepts `RRGGBB` and `#rgb`. Raises ValueError with what is accepted."""
    match = _COLOR.fullmatch(value.strip())
    if match is None:
        raise ValueError("a colour such as #ff9485")
    digits = match[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def find_label(instance: Instance, label_id: int) -> Label:
    """Returns the label. Raises Denied."""
    label = Label.objects.filter(instance=instance, pk=label_id).first()
    if label is None:
        raise Denied(f"The label {label_id} was not found.")
    return label


def check_name(instance: Instance, name: str, *, renamed: Label | None = None) -> str:
    """Returns the name as stored. Raises Denied if it is invalid or taken by a label other than `renamed`."""
    name = name.strip()
    if not 0 < len(name) <= NAME_LIMIT:
        raise Denied(f"The name of a label has 1 to {NAME_LIMIT} characters.")
    others = Label.objects.filter(instance=instance, name=name)
    if (others.exclude(pk=renamed.pk) if renamed else others).exists():
        raise Denied("There is a label of this name already.")
    return name


@transaction.atomic
def create_label(instance: Instance, *, name: str, color: str = COLOR) -> Label:
    """Create a label; `color` as parse_hex_color returns it.

    Raises:
        Denied: the name is taken, or there are LABEL_LIMIT labels.
    """
    events.lock(instance)
    name = check_name(instance, name)
    if Label.objects.filter(instance=instance).count() >= LABEL_LIMIT:
        raise Denied(f"There are {LABEL_LIMIT} labels, which is the limit.")
    return Label.objects.create(instance=instance, name=name, color=color)


@transaction.atomic
def update_label(
    instance: Instance,
    *,
    label_id: int,
    name: str | None = None,
    color: str | None = None,
) -> Label:
    """Change a label; None leaves a value unchanged. Raises Denied."""
    events.lock(instance)
    label = find_label(instance, label_id)
    label.name = label.name if name is None else check_name(instance, name, renamed=label)
    label.color = label.color if color is None else color
    label.save(update_fields=["name", "color"])
    return label


@transaction.atomic
def remove_label(instance: Instance, *, label_id: int) -> Label:
    """Delete the label, also from its chats; returns it as it was. Raises Denied."""
    events.lock(instance)
    label = find_label(instance, label_id)
    Label.objects.filter(pk=label.pk).delete()
    return label


@transaction.atomic
def label_chat(instance: Instance, *, chat_id: str, label_id: int, on: bool = True) -> Chat:
    """Add the label to the chat, or remove it; no error if nothing changes. Raises Denied."""
    events.lock(instance)
    chat = find_chat(instance, chat_id)
    label = find_label(instance, label_id)
    if on:
        chat.labels.add(label)
    else:
        chat.labels.remove(label)
    return chat
