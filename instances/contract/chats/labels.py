"""Labels and the chats that have them (contract.md §2). A label's `id` is a string of digits."""

from typing import Any

from chatapi.ui.numbers import clean_number, parse_digits
from instances.actions.chats import labels as labels_actions
from instances.actions.chats.labels import COLOR, parse_hex_color
from instances.contract.arguments import Argument, Destination, number_or_text, single_value, text
from instances.contract.chats.channel_commands import as_call_failed
from instances.contract.chats.chats import FAILED, success_reply
from instances.contract.registry import method
from instances.models import Instance, Label


def parse_label_id(value: Any) -> int:
    """A label's key, sent as a number or as digits."""
    given = parse_digits(clean_number(number_or_text(single_value(value))))
    if given is not None:
        return given
    raise ValueError("the id of a label, such as 5")


def parse_color(value: Any) -> str | None:
    """`#rrggbb`. None if it was not sent."""
    given = single_value(value)
    return None if given in (None, "") else parse_hex_color(number_or_text(given))


NAME = text("name", "the label's name", required=True)
NEW_NAME = text("name", "the label's new name")
LABEL_ID = Argument("labelId", parse_label_id, "the id of a label", {"type": "string"}, required=True)
LABEL_COLOR = Argument(
    "color", parse_color, "a colour such as #ff9485", {"type": "string"}, default=None, aliases=("hexColor",)
)


def label_dict(label: Label) -> dict[str, str]:
    return {"id": str(label.pk), "name": label.name, "hexColor": label.color}


@method("labelsList", "GET")
def labels_list(instance: Instance) -> dict[str, Any]:
    """Lists all labels, oldest first."""
    return {"labels": [label_dict(label) for label in Label.objects.filter(instance=instance)]}


@method(
    "createLabel",
    "POST",
    failure_key="success",
    arguments=(NAME, LABEL_COLOR),
)
def create_label(instance: Instance, *, name: str | None, color: str | None) -> dict[str, Any]:
    """Creates a label. No other label of the instance may have its name."""
    with as_call_failed():
        label = labels_actions.create_label(instance, name=name or "", color=color or COLOR)
    return {"success": True, "label": label_dict(label)}


@method(
    "updateLabel",
    "POST",
    failure_key="success",
    arguments=(LABEL_ID, NEW_NAME, LABEL_COLOR),
)
def update_label(instance: Instance, *, label_id: int, name: str | None, color: str | None) -> dict[str, Any]:
    """Changes a label's name or colour. What is not sent stays as it is."""
    with as_call_failed():
        label = labels_actions.update_label(instance, label_id=label_id, name=name or None, color=color)
    return {"success": True, "label": label_dict(label)}


@method("removeLabel", "POST", failure_key="success", arguments=(LABEL_ID,))
def remove_label(instance: Instance, *, label_id: int) -> dict[str, Any]:
    """Deletes the label and removes it from its chats. The reply shows it as it was."""
    with as_call_failed():
        label = labels_actions.remove_label(instance, label_id=label_id)
    return {"success": True, "label": label_dict(label)}


@method("labelChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(), LABEL_ID))
def label_chat(instance: Instance, *, chat_id: str, label_id: int) -> dict[str, Any]:
    """Adds a label to a chat."""
    with as_call_failed():
        labels_actions.label_chat(instance, chat_id=chat_id, label_id=label_id)
    return success_reply(chat_id)


@method(
    "unlabelChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(), LABEL_ID)
)
def unlabel_chat(instance: Instance, *, chat_id: str, label_id: int) -> dict[str, Any]:
    """Removes a label from a chat."""
    with as_call_failed():
        labels_actions.label_chat(instance, chat_id=chat_id, label_id=label_id, on=False)
    return success_reply(chat_id)
