"""What the export of an account contains: every table with its data is named here, or in LACKING with the reason.

A test compares both with all models, so that a new table must be decided. Fields are listed one by one: a new column is
not exported by accident, because it may be a secret.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from django.db.models import Model, QuerySet

from accounts.models import Account, AccountKey, AuditEntry, Invitation, Member, Payment, User
from accounts.views.audit_log import entry_for_owner
from hooks.models import Attempt, Endpoint, Hook, Issue, Redelivery
from instances.models import (
    Alert,
    AlertWebhook,
    BannedContact,
    ChannelLink,
    Chat,
    HookShare,
    Instance,
    Label,
    Media,
    MembershipChange,
    Message,
    OutgoingMessage,
    Participant,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    SendingTry,
    StatusChange,
    StoredCallback,
)
from instances.models.last_messages import exact_last_time, exact_unread
from testing_tools.simulation.models import SimulationRun, SimulationStep
from testing_tools.verification.models import Bin, Capture, Share

# Rows read by one query. The file is streamed: memory does not grow with its size.
ROWS_PER_QUERY = 500


class Table(NamedTuple):
    """A list in the export: its name, the rows of an account or of an instance, and their fields."""

    name: str
    model: type[Model]
    rows: Callable[[Any], QuerySet[Any]]
    fields: tuple[str, ...]


def table(name: str, model: Any, path: str, *fields: str) -> Table:
    """Returns the table of the rows whose `path` leads to the account or instance."""
    return Table(name, model, lambda owner: model._default_manager.filter(**{path: owner}), fields)


def of_owner(name: str, model: Any, path: str, *fields: str) -> Table:
    """Returns the table of the rows whose `path` leads to the owner of the account."""
    return Table(
        name, model, lambda account: model._default_manager.filter(**{path: account.owner_id}), fields
    )


def account_tables() -> list[Table]:
    """Returns the lists of an account, in the order of the file."""
    from allauth.account.models import EmailAddress
    from allauth.mfa.models import Authenticator
    from allauth.usersessions.models import UserSession

    return [
        of_owner("email_addresses", EmailAddress, "user", "email", "verified", "primary"),
        of_owner("sessions", UserSession, "user", "ip", "user_agent", "created_at", "last_seen_at"),
        of_owner("second_factors", Authenticator, "user", "type", "created_at", "last_used_at"),
        table(
            "keys", AccountKey, "account", "name", "prefix", "can_read", "can_send", "can_manage", "created_at",
            "last_used_at", "last_used_from", "expires_at", "replaced_at", "revoked_at",
        ),
        table("alert_webhook", AlertWebhook, "account", "url", "created_at"),
        table(
            "alerts", Alert, "webhook__account", "public_id", "body", "is_test", "created_at", "state", "attempts_made",
            "attempts",
        ),
        table(
            "payments", Payment, "account", "instance__number", "days", "amount", "currency", "paid_at", "note"
        ),
        table("members", Member, "account", "user__email", "role", "created_at"),
        of_owner("memberships", Member, "user", "account__name", "account__owner__email", "role", "created_at"),
        table(
            "invitations", Invitation, "account", "email", "role", "created_at", "expires_at", "accepted_at",
            "revoked_at",
        ),
        of_owner(
            "redeliveries", Redelivery, "created_by", "public_id", "filter", "state", "planned", "created_at",
            "started_at", "finished_at",
        ),
        Table("my_bin", Bin, lambda account: Bin.objects.filter(account=account), BIN_FIELDS),
        Table("my_bin_captures", Capture, lambda account: Capture.objects.filter(bin__account=account), CAPTURE_FIELDS),
        Table("my_bin_links", Share, lambda account: Share.objects.filter(bin__account=account), SHARE_FIELDS),
    ]  # fmt: skip


BIN_FIELDS = (
    "key", "created_at", "captured", "dropped", "answer_status", "answer_headers", "answer_body", "answer_delay",
    "fail_first", "answer_cors",
)  # fmt: skip
CAPTURE_FIELDS = (
    "number", "at", "method", "path", "query", "http_version", "headers", "body", "size", "label", "summary",
    "remote_address", "status", "answer_note", "note", "deleted_at",
)  # fmt: skip
SHARE_FIELDS = ("number", "created_at", "expires_at", "revoked_at")


def instance_tables() -> list[Table]:
    """Returns the lists of an instance, in the order of the file."""
    return [
        Table(
            "status_history", StatusChange,
            lambda instance: instance.status_changes.all(), ("account_status", "substatus", "at"),
        ),
        Table(
            "chats", Chat,
            lambda instance: instance.chats.annotate(last_time=exact_last_time(), unread=exact_unread()),
            ("chat_id", "name", "is_group", "last_time", "image", "invite_code", "left_at", "pinned_at", "archived",
             "removed_at", "unread", "messenger_chat_id"),
        ),
        table(
            "participants", Participant,
            "chat__instance", "chat__chat_id", "member", "is_admin", "name", "joined_at",
        ),
        table("membership_changes", MembershipChange, "chat__instance", "chat__chat_id", "member", "at"),
        table("labels", Label, "instance", "name", "color"),
        table("banned_contacts", BannedContact, "instance", "chat_id", "at"),
        table(
            "messages", Message, "instance", "number", "message_id", "chat__chat_id", "author", "sender_name", "type",
            "body", "caption", "from_me", "by_api", "forwarded", "quoted", "metadata", "media__filename", "ack", "time",
            "deleted_at", "failure", "failed_at", "maybe_twice", "messenger_id",
        ),
        table(
            "waiting_messages", OutgoingMessage, "instance", "queue_number", "message_id", "chat_id", "type", "body",
            "caption", "created_at", "state", "tries", "tried_since", "last_try_at", "next_try_at", "reason",
            "maybe_twice", "failed_at",
        ),
        table(
            "tries", SendingTry, "instance", "message_id", "number", "started_at", "method", "url", "request_headers",
            "request_body", "status", "response_headers", "response_body", "address", "outcome", "error", "result",
            "reason", "total_ms",
        ),
        table("waiting_commands", QueuedAction, "instance", "type", "data", "created_at"),
        table(
            "files", Media, "instance", "filename", "content_type", "size", "source", "created_at", "expires_at", "key"
        ),
        table(
            "sandbox_contacts", SandboxContact, "instance", "chat_id", "name", "has_account", "online", "blocks",
            "deliver_after", "read_after", "created_at",
        ),
        table("links", ChannelLink, "instance", "channel", "external_id", "name", "options", "changed_at"),
        table(
            "callbacks", StoredCallback, "instance", "key", "method", "query", "headers", "body", "received_at",
            "tries", "handled_at", "failed_at", "error",
        ),
        table("sandbox_receipts", SandboxReceipt, "instance", "message_id", "chat_id", "ack", "due_at"),
        table(
            "endpoints", Endpoint, "instance", "id", "name", "url", "guaranteed", "parallel", "strict", "families",
            "direction", "message_types", "chat_ids", "chat_kinds", "is_listener", "paused_at", "pause_reason",
            "failing_since", "removed_at",
        ),
        Table(
            "hooks", Hook, Hook.objects.of_instance,
            ("public_id", "endpoint_id", "kind", "message", "chat", "state", "skip_reason", "simulated", "body",
             "to_url", "attempts_made", "last_outcome", "last_status", "last_host", "created_at", "finished_at"),
        ),
        Table(
            "attempts", Attempt, lambda instance: Attempt.objects.filter(hook__endpoint__instance=instance),
            ("hook__public_id", "number", "started_at", "url", "address", "request_headers", "status",
             "response_headers", "response_body", "outcome", "error", "total_ms"),
        ),
        table(
            "issues", Issue, "endpoint__instance", "public_id", "endpoint_id", "outcome", "status", "state", "hooks",
            "first_failed_at", "last_failed_at", "acknowledged_at", "resolved_at",
        ),
        table("links_to_hooks", HookShare, "instance", "hook", "created_at", "expires_at", "revoked_at"),
        Table("bin", Bin, lambda instance: Bin.objects.filter(instance=instance), BIN_FIELDS),
        Table("captures", Capture, lambda instance: Capture.objects.filter(bin__instance=instance), CAPTURE_FIELDS),
        Table("links_to_the_bin", Share, lambda instance: Share.objects.filter(bin__instance=instance), SHARE_FIELDS),
        table(
            "simulation_runs", SimulationRun, "instance", "public_id", "plan", "to_url", "pause", "state", "created_at"
        ),
        table("simulation_steps", SimulationStep, "run__instance", "run__public_id", "number", "label", "kind", "body"),
    ]  # fmt: skip


# Models whose data the file has outside of these lists.
ELSEWHERE: dict[str, str] = {
    User._meta.label: "account",
    Account._meta.label: "account",
    Instance._meta.label: "instances",
    AuditEntry._meta.label: "history",
}
# What the file does not contain, and why; the file says so itself.
LACKING: dict[str, str] = {
    "secrets": "The password, tokens, signing secrets, credentials of messengers, account keys, the authenticator "
    "app's key, recovery codes and links of invitations and bins are not in the file: who has the file would have "
    "them.",
    "files": "Files of messages are listed, and not contained. Each can be downloaded until it expires: its URL is "
    "/media/, its key, / and its file name.",
    "other accounts": "Data of accounts that you are a member of belongs to their owners.",
    "staff": "The names of staff and their notes about the account are not in the file.",
}
# Models without data of their own, by the reason that is given in a review.
WITHOUT_CONTENT: dict[str, str] = {
    "hooks.Lane": "which dispatcher sends an endpoint's hooks now",
    "hooks.Tally": "counters for `manage.py hooks check`",
    "hooks.EmittedCount": "counters for `manage.py hooks check`",
    "hooks.RedeliveryPart": "how far a job has come",
    "instances.OutgoingQueue": "counters of the queue",
    "instances.ReceiverState": "which receiver has an instance, and how far it has received",
    "instances.StoredFile": "the content of files, which `files` lists",
    "account.EmailConfirmation": "keys of links, not used: links are signed",
    "admin.LogEntry": "what staff did in the admin, see LACKING['staff']",
}


def history(account: Account) -> Iterator[dict[str, Any]]:
    """Yields the audit log as the owner's page shows it, oldest first."""
    after = 0
    entries = AuditEntry.objects.filter(account=account).select_related("actor").order_by("pk")
    while found := list(entries.filter(pk__gt=after)[:ROWS_PER_QUERY]):
        for entry in found:
            after = entry.pk
            shown = entry_for_owner(entry, account.owner_id)
            yield {
                "at": entry.at,
                "action": entry.action,
                "user": shown["actor"],
                "subject": entry.subject_text,
                "detail": shown["detail"],
            }


def iterate_rows(one: Table, owner: Any) -> Iterator[dict[str, Any]]:
    """All rows, by key, ROWS_PER_QUERY at a time: no transaction stays open while a client's connection is slow."""
    after: Any = 0
    rows = one.rows(owner).order_by("pk")
    while found := list(rows.filter(pk__gt=after).values("pk", *one.fields)[:ROWS_PER_QUERY]):
        for row in found:
            after = row.pop("pk")
            yield {name: readable(value) for name, value in row.items()}


def readable(value: Any) -> Any:
    """Bytes as text if they are UTF-8, else as Base64."""
    if not isinstance(value, bytes | memoryview):
        return value
    content = bytes(value)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def exported_models() -> Iterable[str]:
    """Returns the labels of all models that are in the file."""
    tables = [*account_tables(), *instance_tables()]
    return {one.model._meta.label for one in tables} | set(ELSEWHERE)
