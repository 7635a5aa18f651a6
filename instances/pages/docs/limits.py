"""The errors and limits of the wire contract. Numbers and sentences are imported from the code that applies them."""

import json
from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString

from hooks import own_hooks
from instances import ban_masks, chat_ids, loop_detection
from instances.actions import bans
from instances.actions.chats import groups, labels
from instances.actions.sending import command_queue, forwarding
from instances.actions.sending.accept import QUEUE_LIMIT, TEXT_LIMIT, VCARD_LIMIT
from instances.contract import errors
from instances.contract.chats import dialogs
from instances.contract.chats import messages as chats_messages
from instances.contract.instance import hook_history
from instances.contract.sending import contacts_and_locations
from instances.pages.docs.markup import render_inline

PHONE = chat_ids.PHONE_SENTENCE
WAITS = f"{errors.NOT_AUTHENTICATED}. Message to  17680561234@c.us will be sent after successful auth."


class ErrorExample(NamedTuple):
    """What goes wrong, the HTTP status, and the body of the response."""

    case: SafeString
    status: int
    body: str


def to_json(body: dict[str, object]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def list_errors() -> list[ErrorExample]:
    rows: list[tuple[str, int, dict[str, object]]] = [
        ("The token is missing or wrong", 401, {"error": errors.WRONG_TOKEN}),
        ("The account's key is missing, wrong or revoked", 401, {"error": errors.WRONG_UID}),
        ("No instance has this number", 404, {"error": errors.NO_INSTANCE}),
        ("No method has this name", 404, errors.unknown_method("sendMesage").body),
        ("A verb other than GET, POST or HEAD", 405, errors.verb_not_allowed("PUT").body),
        (
            "The body is not JSON, but its Content-Type says so",
            400,
            {"error": "The body is not JSON: Expecting ',' delimiter: line 1 column 7 (char 6)"},
        ),
        ("The request is too long", 413, {"error": "The request is too long."}),
        ("An argument is wrong", 400, {"error": "`limit` must be a whole number from 0 to 2147483647."}),
        (
            "An argument is wrong, in a method whose reply has a boolean for success",
            200,
            {"sent": False, "message": "`body` is required: the URL to link."},
        ),
        ("The phone is malformed", 200, {"sent": False, "message": PHONE}),
        ("The text is empty", 200, {"sent": False, "message": errors.EMPTY_TEXT}),
        (
            "The queue is full",
            200,
            {
                "sent": False,
                "message": f"Message was not sent: the queue holds {QUEUE_LIMIT} messages, which is the limit.",
            },
        ),
        (
            "A send while the account is not authenticated: it is accepted and waits",
            200,
            {"sent": True, "message": WAITS, "id": "…", "queueNumber": 2223},
        ),
        (
            "`checkPhone` while the account is not authenticated",
            200,
            {"error": errors.NOT_AUTHENTICATED},
        ),
        ("The instance is not paid; `status` still works", 402, {"error": errors.NOT_PAID}),
        (
            "The instance is stopped, or its account is blocked",
            403,
            {"error": "Instance is stopped. Ask …"},
        ),
        (
            "The account has no quota left, for `newInstance`",
            409,
            {"error": "Quota reached: the account uses 200 of 200 instances. Delete an instance …"},
        ),
        (
            "The call is a hook of this site, of an instance whose webhook URL leads to the API",
            own_hooks.STATUS,
            {"error": loop_detection.loop_error(12345)},
        ),
        ("Too many calls; `Retry-After` says when to retry", 429, errors.too_many_calls(12).body),
        ("An internal error; the server log has the details", 500, {"error": errors.INTERNAL}),
        ("The database is unavailable; `Retry-After` is 5", 503, {"error": errors.DATABASE_UNAVAILABLE}),
    ]
    return [ErrorExample(render_inline(case), status, to_json(body)) for case, status, body in rows]


class Limit(NamedTuple):
    subject: SafeString
    maximum: str


def list_limits() -> list[Limit]:
    megabyte = 1024 * 1024
    rows = [
        ("Instances per account", f"{settings.QUOTA_INSTANCES:,}; staff can raise it"),
        ("Calls per instance", f"{settings.CONTRACT_CALLS_PER_MINUTE:,} a minute"),
        ("Calls per account key", f"{settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE:,} a minute"),
        (
            "Wrong tokens per IP address",
            f"{settings.CONTRACT_WRONG_TOKENS_PER_MINUTE:,} a minute; then 429, each time for longer (up to 1 h)",
        ),
        ("Messages in the queue", f"{QUEUE_LIMIT:,} per instance"),
        ("Actions in the queue", f"{command_queue.ACTIONS_LIMIT:,} per instance"),
        ("A text", f"{TEXT_LIMIT:,} bytes"),
        ("A vCard", f"{VCARD_LIMIT:,} bytes"),
        ("A body without a file", f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE // megabyte} MB"),
        ("A file by URL or in a form", f"{settings.MEDIA_MAX_BYTES // megabyte} MB"),
        (
            "A file as a `data:` URI",
            f"{settings.MEDIA_DATA_URI_MAX_BYTES // megabyte} MB; send a larger one by URL or in a form",
        ),
        ("The picture of `sendLink`", f"{contacts_and_locations.MAX_PREVIEW_SIZE:,} bytes"),
        ("Contacts per `sendContact`", f"{contacts_and_locations.MAX_CONTACTS:,}"),
        ("Messages per `forwardMessage`", f"{forwarding.MAX_FORWARDED:,}"),
        (
            "`messages` with `limit` 0",
            (
                f"{chats_messages.MAX_MESSAGES:,} messages, or {chats_messages.MAX_TEXT:,} characters of text; "
                "continue with `lastMessageNumber`"
            ),
        ),
        ("A page of `messagesHistory`", f"{chats_messages.MAX_PAGE_SIZE:,} messages"),
        ("`dialogs` without a `limit`", f"{dialogs.MAX_CHATS:,} chats; continue with `page`"),
        ("`instanceStatuses`", f"the last {hook_history.MAX_STATUSES:,} changes"),
        ("Members of a new group", f"{groups.GROUP_LIMIT:,} in addition to the account"),
        ("The name of a group", f"{groups.NAME_LIMIT:,} characters"),
        ("Labels per instance", f"{labels.LABEL_LIMIT:,}"),
        ("`banPhoneMask`", f"{ban_masks.MAX_LENGTH:,} characters"),
        ("`preBanMessage`", f"{bans.LONGEST_MESSAGE:,} characters"),
    ]
    return [Limit(render_inline(subject), maximum) for subject, maximum in rows]
