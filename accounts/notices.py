"""Notices: a mail to the owner of an account about each sensitive change, by any user or program.

One table says which entries of the audit log are mailed, and in which words. The mail says what was changed, when, by
whom and from where, and what to do if the owner did not do it. It is queued in the transaction of the change, and sent
by a worker. Without EMAIL_URL none is queued: the audit log has all entries anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import timedelta
from smtplib import SMTPException

from allauth.account.adapter import get_adapter
from allauth.core import context
from django.conf import settings
from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django_q.tasks import async_task

from accounts.audit import AuditAction, AuditEntry
from accounts.time_zones import in_zone_of

log = logging.getLogger(__name__)

# Subject of the mail, and its first sentence; {subject} is the entry's subject.
NOTICES = {
    AuditAction.ACCOUNT_EXPORTED: ("Account exported", "All data of your account was downloaded."),
    AuditAction.ACCOUNT_DELETED: ("Account deleted", "Your account was deleted, with everything in it."),
    AuditAction.KEY_ISSUED: (
        "Account key created",
        "A new account key, {subject}, was created.",
    ),
    AuditAction.RIGHTS: ("Rights changed", "Staff of this site changed the rights of your user."),
    AuditAction.PASSWORD_SET: ("Password set by staff", "Staff of this site set a new password for you."),
    AuditAction.PASSWORD_CHANGED: ("Password changed", "Your password was changed."),
    AuditAction.PASSWORD_RESET: ("Password reset", "Your password was changed with the link of a mail."),
    AuditAction.EMAIL_ADDED: (
        "Address added",
        "An e-mail address was added to your account: {detail[email]}.",
    ),
    AuditAction.EMAIL_CHANGED: (
        "Main address changed",
        "The main e-mail address of your account was changed from {detail[old]} to {detail[email]}.",
    ),
    AuditAction.EMAIL_REMOVED: (
        "Address removed",
        "An e-mail address was removed from your account: {detail[email]}.",
    ),
    AuditAction.SECOND_FACTOR_ON: ("Two-factor authentication on", "An authenticator app was set up."),
    AuditAction.SECOND_FACTOR_OFF: ("Two-factor authentication off", "The authenticator app was removed."),
    AuditAction.RECOVERY_CODES: (
        "Recovery codes created",
        "New recovery codes were created. The old ones ended.",
    ),
    AuditAction.MEMBER_INVITED: (
        "Member invited",
        "{subject} was invited to your account as a {detail[role]}.",
    ),
    AuditAction.MEMBER_JOINED: ("Member joined", "{subject} joined your account as a {detail[role]}."),
    AuditAction.MEMBER_ROLE: ("Member's role changed", "{subject} is now a {detail[role]} in your account."),
    AuditAction.MEMBER_REMOVED: ("Member removed", "{subject} is no longer a member of your account."),
    AuditAction.INSTANCE_DELETED: ("Instance deleted", "{subject} was deleted, with its messages and hooks."),
    AuditAction.TOKEN_ROTATED: ("Token rotated", "The token of {subject} was replaced by a new one."),
    AuditAction.SECRET_ROTATED: ("Signing secret rotated", "The signing secret of {subject} was replaced."),
    AuditAction.OLD_SECRET_ENDED: ("Old signing secret ended", "The old signing secret of {subject} ended."),
}
# A program that deletes many instances must not fill the mailbox. The last mail says that more are not mailed.
MAX_PER_HOUR = 20
SEND_NOTICE = "accounts.notices.send_notice"

BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Mac OS X": "macOS",
    "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def queue_notice(entry: AuditEntry, *, also_to: Iterable[str] = ()) -> None:
    """Queue the mail about an audit entry, if its action has one, in the caller's transaction. Two queries.

    It goes to the owner of the entry's account and to the addresses of `also_to`, such as the one before a change.
    """
    if not settings.EMAIL_URL or entry.action not in NOTICES or entry.account is None:
        return
    addresses = sorted({entry.account.owner.email, *also_to})
    async_task(SEND_NOTICE, entry.pk, addresses, origin(), task_name=f"notice {entry.pk}")


def origin() -> str:
    """Returns where the current request comes from: "203.0.113.7, Firefox on Windows"."""
    request: HttpRequest | None = context.request
    if request is None:
        return "this server (a command or a background task)"
    address = get_adapter().get_client_ip(request)
    return f"{address}, {program_name(request.headers.get('User-Agent', ''))}"


def program_name(user_agent: str) -> str:
    """Returns browser and system in known words. The header's own text could be a message from an attacker."""
    browser = next((name for part, name in BROWSERS.items() if part in user_agent), "")
    system = next((name for part, name in SYSTEMS.items() if part in user_agent), "")
    if not browser:
        return "not a browser"
    return f"{browser} on {system}" if system else browser


def send_notice(entry_pk: int, addresses: list[str], where: str) -> str:
    """Task: mail the notice. Nothing is sent if the account, except for its deletion, or the entry is gone."""
    entry = AuditEntry.objects.select_related("actor", "account__owner").filter(pk=entry_pk).first()
    if entry is None or (entry.account is None and entry.action != AuditAction.ACCOUNT_DELETED):
        return "nothing to say"
    number = number_in_last_hour(entry)
    if number > MAX_PER_HOUR:
        return "too many in an hour"
    subject, sentence = NOTICES[AuditAction(entry.action)]
    context = {
        "entry": entry,
        "sentence": sentence.format(subject=entry.subject_text, detail=entry.detail),
        "by": actor_words(entry),
        "where": where,
        "is_last": number == MAX_PER_HOUR,
        "limit": MAX_PER_HOUR,
        "is_deletion": entry.action == AuditAction.ACCOUNT_DELETED,
        "site": settings.SITE_URL,
        "contact": settings.SUPPORT_EMAIL or "the administrator of this site",
        "password_url": settings.SITE_URL + reverse("account_change_password"),
        "reset_url": settings.SITE_URL + reverse("account_reset_password"),
        "account_url": settings.SITE_URL + reverse("accounts:account"),
        "sessions_url": settings.SITE_URL + reverse("usersessions_list"),
        "history_url": settings.SITE_URL + reverse("accounts:audit-log"),
    }
    # a deleted account has no owner any more
    with in_zone_of(entry.account.owner) if entry.account else nullcontext():
        text = render_to_string("accounts/notice_mail.txt", context)
    for address in addresses:  # one mail each: they need not know each other
        try:
            send_mail(f"[Chat API] {subject}", text, None, [address])
        except (OSError, SMTPException) as error:
            log.warning("The notice of audit entry %s was not sent: %s", entry_pk, type(error).__name__)
    return f"{len(addresses)} sent"


def number_in_last_hour(entry: AuditEntry) -> int:
    """Returns which of the account's notices within an hour this is, from 1."""
    if entry.account is None:
        return 1
    since = entry.at - timedelta(hours=1)
    notices = AuditEntry.objects.filter(account=entry.account, action__in=list(NOTICES), pk__lte=entry.pk)
    return len(notices.filter(at__gt=since).order_by("-pk").values_list("pk", flat=True)[: MAX_PER_HOUR + 1])


def actor_words(entry: AuditEntry) -> str:
    """Returns who did it, as the owner's history says it: staff are not named."""
    if (
        entry.actor is not None
        and entry.actor.is_staff
        and (entry.account is None or entry.actor_id != entry.account.owner_id)
    ):
        return "staff of this site"
    return entry.actor_text or "a program with your account key or an instance's token"
