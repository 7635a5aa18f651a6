"""Labels, and the chats that bear them."""

import re

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.chats.chats import Denied, find_chat
from instances.models import Chat, Instance, Label

LABEL_LIMIT = 100  # of one instance; *ours*
NAME_LIMIT = 100  # characters
COLOR = "#00a0f2"  # of a label that was made without one

_COLOR = re.compile(r"#?([0-9a-f]{6}|[0-9a-f]{3})", re.IGNORECASE)


def color_of(value: str) -> str:
    """`#rrggbb` in lower case; `RRGGBB` and `#rgb` are taken too. Raises ValueError with what it takes."""
    match = _COLOR.fullmatch(value.strip())
    if match is None:
        raise ValueError("a colour such as #ff9485")
    digits = match[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def find_label(instance: Instance, label_id: int) -> Label:
    """Raises Denied."""
    label = Label.objects.filter(instance=instance, pk=label_id).first()
    if label is None:
        raise Denied(f"The label {label_id} was not found.")
    return label


def check_name(instance: Instance, name: str, *, but: Label | None = None) -> str:
    """The name as it is kept, if it is free. Raises Denied."""
    name = name.strip()
    if not 0 < len(name) <= NAME_LIMIT:
        raise Denied(f"The name of a label has 1 to {NAME_LIMIT} characters.")
    others = Label.objects.filter(instance=instance, name=name)
    if (others.exclude(pk=but.pk) if but else others).exists():
        raise Denied("There is a label of this name already.")
    return name


@transaction.atomic
def create_label(
    instance: Instance, *, name: str, color: str = COLOR, acting_user: User | None = None
) -> Label:
    """`color` as color_of gives it. Raises Denied: the name is taken, or there are LABEL_LIMIT labels."""
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
    acting_user: User | None = None,
) -> Label:
    """What is None stays. Raises Denied."""
    events.lock(instance)
    label = find_label(instance, label_id)
    label.name = label.name if name is None else check_name(instance, name, but=label)
    label.color = label.color if color is None else color
    label.save(update_fields=["name", "color"])
    return label


@transaction.atomic
def remove_label(instance: Instance, *, label_id: int, acting_user: User | None = None) -> Label:
    """Off the list, and off every chat that bears it; the label as it was. Raises Denied."""
    events.lock(instance)
    label = find_label(instance, label_id)
    Label.objects.filter(pk=label.pk).delete()
    return label


@transaction.atomic
def label_chat(
    instance: Instance, *, chat_id: str, label_id: int, on: bool = True, acting_user: User | None = None
) -> Chat:
    """Puts the label on the chat or takes it off; doing it twice is no fault. Raises Denied."""
    events.lock(instance)
    chat = find_chat(instance, chat_id)
    label = find_label(instance, label_id)
    if on:
        chat.labels.add(label)
    else:
        chat.labels.remove(label)
    return chat
