"""Links an instance to an account at a messenger outside this product: credentials, and the URL for callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet
from django.db.models.functions import Least
from django.utils import timezone
from django_q.tasks import async_task

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from hooks.wakeups import notify_after_commit
from instances import chat_ids
from instances.actions import events
from instances.actions.callbacks import LINKS_CHANGED, RECEIVING_CHANNEL, is_overtaken
from instances.actions.status import change_status
from instances.models import AccountStatus, ChannelLink, Instance, LoadingReason, ReceiverState, Substatus
from instances.models.receiving import new_callback_secret
from instances.received_events import StatusReported

MAX_REASON = 1_000  # characters
MAX_NAME = 200  # characters of an account's name
CHECK_SECONDS = 40.0  # between checks of a link
RECHECK_SECONDS = 5.0  # after the first failure: it may have been one request
OFFLINE_FAILURES = 2  # in a row, then the messenger is away
# A messenger that refuses the credentials so often in a row is asked less often.
LOST_FAILURES = 15
LATE_SECONDS = 300.0  # … this often, as links are that need no check at the moment
MAIL_LOST_LINKS = "instances.tasks.mail_lost_links"
MAIL_PAUSE = timedelta(hours=6)  # between two mails about an instance whose link is lost again and again


class AlreadyLinked(Exception):
    """Another instance is linked to the same account."""

    def __init__(self, other: Instance) -> None:
        super().__init__(f"linked to instance {other.number}")
        self.other = other


def save_link(
    instance: Instance,
    *,
    credentials: Mapping[str, str],
    external_id: str = "",
    name: str = "",
    own_chat_id: str = "",
    options: Mapping[str, str] | None = None,
    acting_user: User | None,
) -> ChannelLink:
    """Link the instance, or change the credentials of its link. The callback URL stays the same.

    `options` are what the channel needs besides secrets; `name` is what people call the account. `own_chat_id` is its
    chat id; empty: it stays the same. The receiver connects again with the new credentials. Of another account, it
    receives from the start.

    Raises:
        AlreadyLinked: nothing is saved.
    """
    try:
        with transaction.atomic():
            link = save_account(instance, credentials, external_id, name, options or {})
            if own_chat_id:
                save_own_chat_id(instance, own_chat_id)
            audit.record(
                instance, AuditAction.CHANNEL_LINKED, acting_user=acting_user, channel=instance.channel
            )
            notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)
            return link
    except IntegrityError:
        others = ChannelLink.objects.exclude(instance=instance).select_related("instance")
        other = others.filter(channel=instance.channel, external_id=external_id).first()
        if other is None or not external_id:
            raise
        raise AlreadyLinked(other.instance) from None


def save_account(
    instance: Instance,
    credentials: Mapping[str, str],
    external_id: str,
    name: str,
    options: Mapping[str, str],
) -> ChannelLink:
    """Write the rows of the link. Raises IntegrityError if another instance has the account."""
    events.lock(instance)
    link = ChannelLink.objects.filter(instance=instance).first() or ChannelLink(instance=instance)
    state, _ = ReceiverState.objects.get_or_create(instance=instance)
    if link.external_id != external_id:
        state.cursor, state.status_at = "", None
    state.failures, state.next_try_at = 0, timezone.now()
    state.check_failures, state.check_error = 0, ""
    state.next_check_at = timezone.now() + timedelta(seconds=CHECK_SECONDS)
    state.save(
        update_fields=[
            "cursor", "status_at", "failures", "next_try_at", "check_failures", "check_error", "next_check_at",
        ]
    )  # fmt: skip
    link.channel, link.external_id, link.name = instance.channel, external_id, name
    link.credentials, link.options = dict(credentials), dict(options)
    link.changed_at, link.connected_at = timezone.now(), None
    link.save()
    return link


def save_own_chat_id(instance: Instance, own_chat_id: str) -> None:
    instance.phone = chat_ids.phone_of(own_chat_id)
    instance.account_chat_id = "" if instance.phone else own_chat_id
    instance.save(update_fields=["phone", "account_chat_id"])


@transaction.atomic
def mark_connected(
    instance: Instance, *, status: StatusReported, linked_at: datetime, acting_user: User | None
) -> bool:
    """Change the status after the link saved at `linked_at` (ChannelLink.changed_at) was connected.

    An instance that gets a session becomes `loading` first. Returns False, without a change, if the link was removed or
    saved again in the meantime.
    """
    events.lock(instance)
    links = ChannelLink.objects.filter(instance=instance, changed_at=linked_at)
    if not links.update(connected_at=timezone.now()):
        return False
    apply_status(instance, status=status, acting_user=acting_user)
    if status.account_status != AccountStatus.AUTHENTICATED:
        # What the messenger has reported while it was connected, such as a code, may have been recorded before this.
        soon = timezone.now() + timedelta(seconds=RECHECK_SECONDS)
        ReceiverState.objects.filter(instance=instance).update(next_check_at=soon)
    return True


def apply_status(instance: Instance, *, status: StatusReported, acting_user: User | None) -> None:
    """Change to the status of a link that works. The caller holds the lock."""
    ReceiverState.objects.filter(instance=instance).update(lost_at=None, lost_reason="")
    if status.account_status == AccountStatus.AUTHENTICATED and not instance.is_authenticated:
        change_status(
            instance,
            account_status=AccountStatus.LOADING,
            substatus=Substatus.NORMAL,
            reason=LoadingReason.CONNECTING,
            acting_user=acting_user,
        )
    change_status(
        instance,
        account_status=status.account_status,
        substatus=status.substatus or Substatus.NORMAL,
        reason=status.reason,
        acting_user=acting_user,
    )


@transaction.atomic
def lose_link(instance: Instance, *, reason: str) -> None:
    """Record that the messenger does not accept the credentials any more: messages wait, and the owner gets a mail.

    `reason` is a sentence for people without secrets. An instance without a session stays as it is.
    """
    events.lock(instance)
    if not instance.has_session:
        return
    change_status(instance, account_status=instance.unlinked_status)
    mark_lost(instance, reason)


def mark_lost(instance: Instance, reason: str) -> None:
    """Have the owner mailed, unless the link is lost already. The caller holds the lock."""
    states = ReceiverState.objects.filter(instance=instance, lost_at=None)
    if states.update(lost_at=timezone.now(), lost_reason=reason[:MAX_REASON]):
        transaction.on_commit(lambda: async_task(MAIL_LOST_LINKS), robust=True)


@transaction.atomic
def lose_session(instance: Instance) -> None:
    """Record that another client has taken over the session: the receiver waits for `take_session_back`."""
    events.lock(instance)
    if instance.has_session:
        change_status(instance, account_status=AccountStatus.LOADING)
        change_status(instance, reason=LoadingReason.CONFLICT)


@transaction.atomic
def take_session_back(instance: Instance, *, acting_user: User | None) -> None:
    """Have the receiver connect again, which ends the session that another client has taken over."""
    events.lock(instance)
    if not instance.is_taken_over:
        return
    change_status(instance, reason=LoadingReason.CONNECTING, acting_user=acting_user)
    connect_at_once(instance)


def connect_at_once(instance: Instance) -> None:
    """Have the receiver open a new connection now, whatever it waits for."""
    ReceiverState.objects.filter(instance=instance).update(failures=0, next_try_at=timezone.now())
    reconnect_link(instance)


def links_to_mail() -> QuerySet[ReceiverState]:
    """Returns the lost links whose owner has had no mail about it for MAIL_PAUSE."""
    before = Least(models.F("lost_at"), models.Value(timezone.now() - MAIL_PAUSE))
    return ReceiverState.objects.filter(
        models.Q(lost_mailed_at=None) | models.Q(lost_mailed_at__lt=before),
        lost_at__isnull=False,
        instance__stopped_at=None,
        instance__paid_until__gt=timezone.now(),
    )


def mark_lost_link_mailed(state: ReceiverState) -> None:
    """Record that the owner got the mail."""
    ReceiverState.objects.filter(pk=state.pk).update(lost_mailed_at=timezone.now())


@transaction.atomic
def record_check(
    instance: Instance,
    *,
    linked_at: datetime,
    status: StatusReported | None,
    error: str,
    is_lost: bool,
    seen_at: datetime,
) -> None:
    """Record what the messenger said about the link saved at `linked_at`; nothing if it was changed since.

    `seen_at` is when the messenger was asked. A status that callbacks may have overtaken since is asked for again.

    Without an `error`, the account has `status`, or an unknown one. With one that is not about a lost link, the
    messenger is away: after OFFLINE_FAILURES in a row the instance is `offline` until a check succeeds.

    Raises:
        Instance.DoesNotExist: the instance was deleted.
    """
    events.lock(instance)
    state = ReceiverState.objects.filter(instance=instance).first()
    if state is None or not ChannelLink.objects.filter(instance=instance, changed_at=linked_at).exists():
        return
    was_away = state.check_failures >= OFFLINE_FAILURES
    state.check_failures = state.check_failures + 1 if error else 0
    state.check_error = error[:MAX_REASON]
    if error:
        soon = state.check_failures < OFFLINE_FAILURES and not is_lost
        late = state.check_failures > LOST_FAILURES and is_lost
        seconds = RECHECK_SECONDS if soon else LATE_SECONDS if late else CHECK_SECONDS
        state.next_check_at = timezone.now() + timedelta(seconds=seconds)
    state.save(update_fields=["check_failures", "check_error", "next_check_at"])
    if is_lost:
        lose_link(instance, reason=error)
    elif error:
        if state.check_failures >= OFFLINE_FAILURES and instance.is_authenticated:
            change_status(instance, substatus=Substatus.OFFLINE)
    elif status is not None and is_overtaken(instance, seen_at):
        again_at = timezone.now() + timedelta(seconds=RECHECK_SECONDS)
        ReceiverState.objects.filter(pk=state.pk).update(next_check_at=again_at)
    elif status is not None:
        record_found(instance, status)
    elif was_away and instance.substatus == Substatus.OFFLINE:
        change_status(instance, substatus=Substatus.NORMAL)


def record_found(instance: Instance, status: StatusReported) -> None:
    """Change to the status that the messenger reported in a check. A link that was lost is received from at once."""
    was_lost = instance.is_unlinked
    if was_lost or (instance.substatus == Substatus.OFFLINE and status.substatus is None):
        apply_status(instance, status=status, acting_user=None)
    else:
        change_status(
            instance, account_status=status.account_status, substatus=status.substatus, reason=status.reason
        )
    if was_lost:
        connect_at_once(instance)


@transaction.atomic
def mark_unconnected(instance: Instance, *, linked_at: datetime, acting_user: User | None) -> None:
    """Change the status to `init` after the link saved at `linked_at` could not be connected: messages wait."""
    events.lock(instance)
    if ChannelLink.objects.filter(instance=instance, changed_at=linked_at).exists():
        change_status(instance, account_status=AccountStatus.INIT, acting_user=acting_user)


@transaction.atomic
def unlink_account(instance: Instance, *, acting_user: User | None) -> None:
    """Remove the link and change the status to `init`. Messages wait until the instance is linked again."""
    events.lock(instance)
    remove_link(instance, acting_user=acting_user)
    change_status(instance, account_status=AccountStatus.INIT, acting_user=acting_user)


@transaction.atomic
def renew_credentials(instance: Instance, *, credentials: Mapping[str, str]) -> None:
    """Store the credentials of a session that the channel has renewed by itself. Nothing else of the link changes.

    Senders use them from now on, and the receiver connects again. Without a link, nothing is stored.
    """
    events.lock(instance)
    link = ChannelLink.objects.filter(instance=instance).first()
    if link is not None:
        link.credentials, link.changed_at = dict(credentials), timezone.now()
        link.save(update_fields=["credentials_json", "changed_at"])
        notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)


def reconnect_link(instance: Instance) -> None:
    """Have the receiver connect again with the instance's present settings. No effect without a link."""
    if ChannelLink.objects.filter(instance=instance).update(changed_at=timezone.now()):
        notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)


@transaction.atomic
def record_session_end(instance: Instance, *, reason: str) -> None:
    """Record that the account was logged out at the messenger; nothing if it is unknown, as after a log-out here."""
    events.lock(instance)
    if instance.phone or instance.account_chat_id:
        mark_lost(instance, reason)


@transaction.atomic
def forget_account(instance: Instance) -> None:
    """Record that the session is of no account: it was logged out here, so that nothing is lost."""
    events.lock(instance)
    save_own_chat_id(instance, "")


@transaction.atomic
def record_account(instance: Instance, *, own_chat_id: str, name: str) -> None:
    """Record which account the session is of, and what people call it: it is linked, and no longer lost.

    An empty name leaves that of the link.

    Raises:
        chat_ids.BadChatId: `own_chat_id` is not valid.
    """
    events.lock(instance)
    if (own_chat_id := chat_ids.of_chat(own_chat_id)) != instance.own_chat_id:
        save_own_chat_id(instance, own_chat_id)
    ReceiverState.objects.filter(instance=instance, lost_at__isnull=False).update(
        lost_at=None, lost_reason=""
    )
    if name:
        ChannelLink.objects.filter(instance=instance).update(name=name[:MAX_NAME])


@transaction.atomic
def remove_link(instance: Instance, *, acting_user: User | None) -> None:
    """Delete the link with its credentials. The callback URL becomes invalid at once."""
    events.lock(instance)
    deleted, _ = ChannelLink.objects.filter(instance=instance).delete()
    ReceiverState.objects.filter(instance=instance).delete()
    if deleted:
        notify_after_commit(RECEIVING_CHANNEL, LINKS_CHANGED)
        audit.record(
            instance, AuditAction.CHANNEL_UNLINKED, acting_user=acting_user, channel=instance.channel
        )


@transaction.atomic
def rotate_callback_secret(link: ChannelLink, *, acting_user: User | None) -> ChannelLink:
    """Create a new callback URL. The old one is invalid immediately: set the new one at the messenger."""
    link.callback_secret = new_callback_secret()
    link.save(update_fields=["callback_secret", "callback_digest"])
    audit.record(link.instance, AuditAction.CALLBACK_URL_ROTATED, acting_user=acting_user)
    return link
