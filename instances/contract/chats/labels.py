"""Labels, and the chats that bear them (contract.md, section 2). A label's `id` is a text of digits."""

from typing import Any

from instances.actions.chats import labels as labels_actions
from instances.actions.chats.labels import COLOR, color_of
from instances.contract.arguments import Argument, Destination, once, plain, text
from instances.contract.chats.channel_commands import refusing
from instances.contract.chats.chats import FAILED, success
from instances.contract.registry import method
from instances.models import Instance, Label


def label_id(value: Any) -> int:
    """A label's key, as a number or as its digits."""
    given = plain(once(value)).strip()
    if given.isascii() and given.isdigit() and len(given) <= 18:
        return int(given)
    raise ValueError("the id of a label, such as 5")


def color(value: Any) -> str | None:
    """`#rrggbb`; None where nothing came."""
    given = once(value)
    return None if given in (None, "") else color_of(plain(given))


LABEL_ID = Argument("labelId", label_id, "the id of a label", {"type": "string"}, required=True)
LABEL_COLOR = Argument(
    "color", color, "a colour such as #ff9485", {"type": "string"}, default=None, aliases=("hexColor",)
)


def label_dict(label: Label) -> dict[str, str]:
    return {"id": str(label.pk), "name": label.name, "hexColor": label.color}


@method("labelsList", "GET")
def labels_list(instance: Instance) -> dict[str, Any]:
    """All labels, the oldest first."""
    return {"labels": [label_dict(label) for label in Label.objects.filter(instance=instance)]}


@method("createLabel", "POST", refusal="success", arguments=(text("name", required=True), LABEL_COLOR))
def create_label(instance: Instance, *, name: str | None, color: str | None) -> dict[str, Any]:
    """A new label; its name is free among the instance's."""
    with refusing():
        label = labels_actions.create_label(instance, name=name or "", color=color or COLOR)
    return {"success": True, "label": label_dict(label)}


@method("updateLabel", "POST", refusal="success", arguments=(LABEL_ID, text("name"), LABEL_COLOR))
def update_label(instance: Instance, *, label_id: int, name: str | None, color: str | None) -> dict[str, Any]:
    """Another name or colour; what does not come stays."""
    with refusing():
        label = labels_actions.update_label(instance, label_id=label_id, name=name or None, color=color)
    return {"success": True, "label": label_dict(label)}


@method("removeLabel", "POST", refusal="success", arguments=(LABEL_ID,))
def remove_label(instance: Instance, *, label_id: int) -> dict[str, Any]:
    """Removes the label, also from the chats that bear it; the reply shows it as it was."""
    with refusing():
        label = labels_actions.remove_label(instance, label_id=label_id)
    return {"success": True, "label": label_dict(label)}


@method("labelChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(), LABEL_ID))
def label_chat(instance: Instance, *, chat_id: str, label_id: int) -> dict[str, Any]:
    """Puts a label on a chat."""
    with refusing():
        labels_actions.label_chat(instance, chat_id=chat_id, label_id=label_id)
    return success(chat_id)


@method("unlabelChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(), LABEL_ID))
def unlabel_chat(instance: Instance, *, chat_id: str, label_id: int) -> dict[str, Any]:
    """Takes a label off a chat."""
    with refusing():
        labels_actions.label_chat(instance, chat_id=chat_id, label_id=label_id, on=False)
    return success(chat_id)
