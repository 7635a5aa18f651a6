"""Every change to instances, one function each: atomic, `actor` is the person who did it, None for the messenger.

Pages, admin, REST, the wire contract and the channels call these; nothing else writes these tables. A
function that takes an instance also brings that object up to date.
"""

from instances.actions.lifecycle import (
    change_instance,
    create_instance,
    delete_instance,
    link_sandbox,
    record_payment,
    rotate_token,
)
from instances.actions.messages import (
    NotLinked,
    UnknownMessage,
    quote,
    receive_message,
    record_ack,
    type_on_phone,
    write_as_contact,
)
from instances.actions.sending import QUEUE_LIMIT, TEXT_LIMIT, QueueFull, TooLong, record_sent, send_message
from instances.actions.settings import change_settings, read_settings
from instances.actions.status import change_status, expire_code, wake
from instances.settings_table import SettingsError

__all__ = [
    "QUEUE_LIMIT",
    "TEXT_LIMIT",
    "NotLinked",
    "QueueFull",
    "SettingsError",
    "TooLong",
    "UnknownMessage",
    "change_instance",
    "change_settings",
    "change_status",
    "create_instance",
    "delete_instance",
    "expire_code",
    "link_sandbox",
    "quote",
    "read_settings",
    "receive_message",
    "record_ack",
    "record_payment",
    "record_sent",
    "rotate_token",
    "send_message",
    "type_on_phone",
    "wake",
    "write_as_contact",
]
