"""The audit log: who changed what, and when. Each action writes its entry in its own transaction, with `record`.

An entry never contains a secret: for settings it contains the names of the changed ones, for keys the prefix that pages
show. An entry outlives its subject, so it also stores the names of user and subject at that time. Entries are never
changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import User


class AuditAction(models.TextChoices):
    """The actions of all apps with their labels, so that the list can be filtered by action."""

    SIGNED_UP = "account.signed_up", "Signed up"
    SIGN_UP_INVITED = "account.sign_up_invited", "Invited to create an account"
    ACCOUNT_RENAMED = "account.renamed", "Account renamed"
    ACCOUNT_BLOCKED = "account.blocked", "Account blocked"
    ACCOUNT_UNBLOCKED = "account.unblocked", "Account unblocked"
    QUOTA_SET = "account.quota_set", "Quota set"
    ACCOUNT_EXPORTED = "account.exported", "Account's data exported"
    ACCOUNT_DELETED = "account.deleted", "Account deleted"
    KEY_ISSUED = "key.issued", "Account key created"
    KEY_ROTATED = "key.rotated", "Account key rotated"
    KEY_REVOKED = "key.revoked", "Account key revoked"
    PAYMENT = "payment.recorded", "Payment recorded"
    RIGHTS = "user.rights", "Rights changed"
    PASSWORD_SET = "user.password_set", "Password set by staff"
    PASSWORD_CHANGED = "user.password_changed", "Password changed"
    PASSWORD_RESET = "user.password_reset", "Password reset"
    EMAIL_ADDED = "user.email_added", "E-mail address added"
    EMAIL_CHANGED = "user.email_changed", "Main e-mail address changed"
    EMAIL_REMOVED = "user.email_removed", "E-mail address removed"
    SECOND_FACTOR_ON = "user.second_factor_on", "Two-factor authentication turned on"
    SECOND_FACTOR_OFF = "user.second_factor_off", "Two-factor authentication turned off"
    RECOVERY_CODES = "user.recovery_codes", "Recovery codes created"
    SECOND_FACTOR_UNREADABLE = "user.second_factor_unreadable", "Second factor removed: its key was lost"
    MEMBER_INVITED = "member.invited", "Member invited"
    INVITATION_REVOKED = "member.invitation_revoked", "Invitation cancelled"
    MEMBER_JOINED = "member.joined", "Invitation accepted"
    MEMBER_ROLE = "member.role_changed", "Member's role changed"
    MEMBER_REMOVED = "member.removed", "Member removed"
    INSTANCE_CREATED = "instance.created", "Instance created"
    INSTANCE_DELETED = "instance.deleted", "Instance deleted"
    INSTANCE_RENAMED = "instance.renamed", "Instance renamed"
    INSTANCE_STOPPED = "instance.stopped", "Instance stopped"
    INSTANCE_STARTED = "instance.started", "Instance started"
    INSTANCE_CLEANED = "instance.cleaned", "Instance cleaned"
    QUEUE_CLEARED = "instance.queue_cleared", "Message queue cleared"
    MESSAGE_CANCELLED = "instance.message_cancelled", "Queued message cancelled"
    MESSAGE_RESENT = "instance.message_resent", "Failed message resent"
    STATUS_CHANGED = "instance.status", "Status changed manually"
    SETTINGS_CHANGED = "instance.settings", "Settings changed"
    TOKEN_ROTATED = "instance.token_rotated", "Token rotated"
    CHANNEL_LINKED = "instance.linked", "Linked to a messenger"
    CHANNEL_CHANGED = "instance.channel_changed", "Moved to another channel"
    CHANNEL_UNLINKED = "instance.unlinked", "Link to a messenger removed"
    CALLBACK_URL_ROTATED = "instance.callback_url_rotated", "Callback URL rotated"
    CALLBACKS_RETRIED = "instance.callbacks_retried", "Failed callbacks tried again"
    SECRET_ROTATED = "instance.secret_rotated", "Signing secret rotated"
    OLD_SECRET_ENDED = "instance.old_secret_ended", "Old signing secret ended"
    ENDPOINT_ADDED = "endpoint.added", "Endpoint added"
    ENDPOINT_CHANGED = "endpoint.changed", "Endpoint changed"
    ENDPOINT_REMOVED = "endpoint.removed", "Endpoint removed"
    DELIVERY_PAUSED = "delivery.paused", "Delivery paused"
    DELIVERY_RESUMED = "delivery.resumed", "Delivery resumed"
    VERIFICATION_STARTED = "verification.started", "Verification started"
    VERIFICATION_ENDED = "verification.ended", "Verification ended"
    BIN_SHARED = "bin.shared", "Link to a bin created"
    BIN_SHARE_REVOKED = "bin.share_revoked", "Link to a bin revoked"
    BIN_RESPONSE_CHANGED = "bin.answer", "Response of a bin changed"
    BIN_DELETED = "bin.deleted", "Bin deleted"
    CAPTURES_DELETED = "bin.captures_deleted", "Requests in a bin deleted"
    CAPTURES_RESTORED = "bin.captures_restored", "Deleted requests restored"
    HOOK_SIMULATED = "hook.simulated", "Simulated hook sent"
    SIMULATION_RUN = "simulation.run_created", "Run of simulations created"
    SIMULATION_RUN_CANCELLED = "simulation.run_cancelled", "Run of simulations cancelled"
    HOOK_RESENT = "hook.resent", "Hook resent"
    HOOK_TRIED_NOW = "hook.tried_now", "Hook tried now"
    HOOK_SKIPPED = "hook.skipped", "Hook skipped"
    HOOK_CANCELLED = "hook.cancelled", "Hook cancelled"
    HOOK_SHARED = "hook.shared", "Link to a hook created"
    HOOK_SHARE_REVOKED = "hook.share_revoked", "Link to a hook revoked"
    HOOKS_CANCELLED = "hooks.cancelled", "Waiting hooks cancelled"
    BODY_READ = "hook.body_read", "Body read by staff"
    REDELIVERY_PLANNED = "redelivery.planned", "Redelivery planned"
    REDELIVERY_PAUSED = "redelivery.paused", "Redelivery paused"
    REDELIVERY_RESUMED = "redelivery.resumed", "Redelivery resumed"
    REDELIVERY_CANCELLED = "redelivery.cancelled", "Redelivery cancelled"
    ALERT_WEBHOOK_SET = "alerts.webhook_set", "Alert webhook set"
    ALERT_WEBHOOK_REMOVED = "alerts.webhook_removed", "Alert webhook removed"
    ALERT_SECRET_ROTATED = "alerts.secret_rotated", "Signing secret of alerts rotated"
    ALERT_OLD_SECRET_ENDED = "alerts.old_secret_ended", "Old signing secret of alerts ended"
    ALERT_TESTED = "alerts.tested", "Test alert sent"
    ISSUE_ACKNOWLEDGED = "issue.acknowledged", "Issue acknowledged"
    IMPERSONATION_STARTED = "look.started", "Staff started viewing the account"
    PAGE_VIEWED = "look.page", "Staff viewed a page"
    CUSTOMER_VIEWED = "look.customer", "Staff viewed the account's facts"
    RECORD_VIEWED = "look.record", "Staff viewed a record"
    IMPERSONATION_ENDED = "look.ended", "Staff stopped viewing the account"


ACTION_LABELS = dict(AuditAction.choices)


def audit_action_choices() -> list[tuple[str, str]]:
    """Returns the choices; as the field has a function, a new action needs no migration."""
    return AuditAction.choices


class AuditEntry(models.Model):
    """One change, or one page viewed by staff."""

    at = models.DateTimeField(default=timezone.now)
    # null: a token or a program made the change, or the user was deleted later; actor_text has the e-mail address
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    actor_text = models.CharField("user", max_length=254, blank=True, default="")
    account = models.ForeignKey(
        "accounts.Account", models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    action = models.CharField("action", max_length=40, choices=audit_action_choices)
    subject_kind = models.CharField(max_length=20)
    subject_id = models.CharField(max_length=64)
    subject_text = models.CharField("subject", max_length=254, blank=True, default="")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [
            # the entries of an account, user, subject or action, newest first
            models.Index(name="accounts_audit_account", fields=["account", "-id"]),
            models.Index(name="accounts_audit_actor", fields=["actor", "-id"]),
            models.Index(name="accounts_audit_subject", fields=["subject_kind", "subject_id", "-id"]),
            models.Index(name="accounts_audit_action", fields=["action", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.action_label}: {self.subject_text or self.subject_id}"

    @property
    def action_label(self) -> str:
        """The action in words. get_action_display() makes a dict of all actions in every call."""
        return ACTION_LABELS.get(self.action, self.action)


class AuditSubject(NamedTuple):
    """The subject of an entry. The owner of the account `account_id` sees the entry; None: only staff do."""

    kind: str
    key: object
    text: str
    account_id: int | None


class Audited(Protocol):
    """A row that can be the subject of an entry."""

    def audit_subject(self) -> AuditSubject: ...


def record(
    about: Audited,
    action: AuditAction,
    *,
    acting_user: User | None,
    also_to: Sequence[str] = (),
    **detail: Any,
) -> AuditEntry:
    """Write one entry about a row in the caller's transaction, and queue the mail about it; returns the entry.

    `acting_user` is None for a program or the holder of an instance's token. `detail` is JSON without secrets.
    Sensitive changes are mailed to the account's owner and to the addresses of `also_to` (accounts/notices.py).

    Raises:
        TransactionManagementError: called outside a transaction, where a change could be stored without its entry.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "An audit entry must be written in the transaction of its change."
        )
    from accounts import notices  # it imports the model of this module

    user = acting_user if acting_user is not None and acting_user.pk is not None else None
    subject = about.audit_subject()
    entry = AuditEntry.objects.create(
        actor_id=user.pk if user else None,
        actor_text=user.email if user else "",
        account_id=subject.account_id,
        action=action,
        subject_kind=subject.kind,
        subject_id=str(subject.key)[:64],
        subject_text=subject.text[:254],
        detail=detail,
    )
    notices.queue_notice(entry, also_to=also_to)
    return entry
