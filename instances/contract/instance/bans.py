"""Bans phone numbers by a mask (contract.md §2). What a ban does: instances/actions/bans.py."""

from typing import Any

from instances import ban_masks, chat_ids
from instances.actions.bans import LONGEST_MESSAGE, change_bans, is_banned
from instances.contract.arguments import phone, text
from instances.contract.errors import BadArgument
from instances.contract.registry import method
from instances.models import Instance


@method(
    "banSettings",
    "GET",
    "POST",
    failure_key="set",
    arguments=(
        text(
            "banPhoneMask",
            "a regular expression for phone numbers; empty: no bans",
            max_length=ban_masks.MAX_LENGTH,
        ),
        text("preBanMessage", "a message sent once to each banned contact", max_length=LONGEST_MESSAGE),
    ),
)
def ban_settings(
    instance: Instance, *, ban_phone_mask: str | None, pre_ban_message: str | None
) -> dict[str, Any]:
    """Returns the mask and the message. Sets those that are sent first, and then `set` is true."""
    given = ban_phone_mask is not None or pre_ban_message is not None
    if given:
        try:
            change_bans(instance, mask=ban_phone_mask, pre_ban_message=pre_ban_message)
        except ban_masks.BadMask as error:
            raise BadArgument(str(error)) from None
        return {
            "set": True,
            "banPhoneMask": instance.ban_phone_mask,
            "preBanMessage": instance.pre_ban_message,
        }
    return {
        "banPhoneMask": instance.ban_phone_mask or None,
        "preBanMessage": instance.pre_ban_message or None,
        "set": False,
    }


@method("banTest", "POST", arguments=(phone("phone"),))
def ban_test(instance: Instance, *, phone: str) -> dict[str, Any]:
    """Returns whether the mask bans this number."""
    banned = is_banned(instance, phone)
    number = chat_ids.bare_id(phone)
    mask = instance.ban_phone_mask
    if banned:
        message = f"{number} matches the mask: its messages and calls do not reach the instance."
    else:
        message = f"{number} does not match the mask." if mask else "No mask is set, so no number is banned."
    return {"banned": banned, "message": message, "phone": number, "banPhoneMask": mask}
