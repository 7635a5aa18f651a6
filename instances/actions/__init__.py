"""Every change to instances, one function each: atomic, `actor` is the person who did it, None for the messenger.

Pages, admin, REST, the wire contract and the channels call these; nothing else writes these tables. A
function that takes an instance also brings that object up to date.
"""

from instances.actions.bans import Banned, change_bans, is_banned
from instances.actions.chats import (
    Denied,
    archive_chat,
    change_chat,
    clear_chat,
    mark_unread,
    pin_chat,
    read_chat,
    remove_chat,
    show_activity,
)
from instances.actions.cleaning import clean_instance
from instances.actions.groups import (
    Taken,
    add_participant,
    create_group,
    find_group,
    invite_link_of,
    join_group,
    leave_group,
    remove_participant,
    set_admin,
)
from instances.actions.labels import create_label, label_chat, remove_label, update_label
from instances.actions.lifecycle import (
    change_instance,
    create_instance,
    delete_instance,
    link_sandbox,
    record_payment,
    rotate_token,
)
from instances.actions.media import keep_longer, store_media, take_media
from instances.actions.messages import (
    UnknownMessage,
    quote,
    receive_message,
    record_ack,
    type_on_phone,
)
from instances.actions.profile import change_profile
from instances.actions.queue import clear_messages
from instances.actions.queue_of_actions import claim_action, clear_actions, enqueue_action, finish_action
from instances.actions.receipts import make_due_receipts, tick_by_hand
from instances.actions.refused import give_up
from instances.actions.sandbox import (
    NotLinked,
    NotPossible,
    change_contact,
    change_phone,
    phone_event,
    reset_sandbox,
    type_by_hand,
    write_as_contact,
)
from instances.actions.sandbox_groups import change_group, group_of_contact
from instances.actions.sending import (
    QUEUE_LIMIT,
    TEXT_LIMIT,
    QueueFull,
    TooLong,
    check_room,
    record_sent,
    send_message,
)
from instances.actions.sent_before import CannotDelete, CannotForward, delete_message, forward_messages
from instances.actions.session import log_out, reboot, renew_code, retry, take_over
from instances.actions.settings import change_settings, read_settings
from instances.actions.status import change_status, drop_statuses, expire_code, wake
from instances.actions.stopping import block_account, start_instance, stop_instance, unblock_account
from instances.settings_table import SettingsError

__all__ = [
    "QUEUE_LIMIT",
    "TEXT_LIMIT",
    "Banned",
    "CannotDelete",
    "CannotForward",
    "Denied",
    "NotLinked",
    "NotPossible",
    "QueueFull",
    "SettingsError",
    "Taken",
    "TooLong",
    "UnknownMessage",
    "add_participant",
    "archive_chat",
    "block_account",
    "change_bans",
    "change_chat",
    "change_contact",
    "change_group",
    "change_instance",
    "change_phone",
    "change_profile",
    "change_settings",
    "change_status",
    "check_room",
    "claim_action",
    "clean_instance",
    "clear_actions",
    "clear_chat",
    "clear_messages",
    "create_group",
    "create_instance",
    "create_label",
    "delete_instance",
    "delete_message",
    "drop_statuses",
    "enqueue_action",
    "expire_code",
    "find_group",
    "finish_action",
    "forward_messages",
    "give_up",
    "group_of_contact",
    "invite_link_of",
    "is_banned",
    "join_group",
    "keep_longer",
    "label_chat",
    "leave_group",
    "link_sandbox",
    "log_out",
    "make_due_receipts",
    "mark_unread",
    "phone_event",
    "pin_chat",
    "quote",
    "read_chat",
    "read_settings",
    "reboot",
    "receive_message",
    "record_ack",
    "record_payment",
    "record_sent",
    "remove_chat",
    "remove_label",
    "remove_participant",
    "renew_code",
    "reset_sandbox",
    "retry",
    "rotate_token",
    "send_message",
    "set_admin",
    "show_activity",
    "start_instance",
    "stop_instance",
    "store_media",
    "take_media",
    "take_over",
    "tick_by_hand",
    "type_by_hand",
    "type_on_phone",
    "unblock_account",
    "update_label",
    "wake",
    "write_as_contact",
]
