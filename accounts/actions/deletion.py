"""Account deletion: the user, the account, its keys, payments, members and invitations are deleted together.

What names them elsewhere goes too: the admin's log, queued mails, invitations in other accounts. The audit log keeps
pseudonyms. The caller first deletes the data of upper layers: see chatapi/account_data/deletion.py.
"""

from collections.abc import Collection

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django_q.models import OrmQ, Task

from accounts import audit, pseudonyms
from accounts.audit import AuditAction, AuditEntry
from accounts.models import Account, AccountKey, Invitation, Member, Payment, User
from accounts.notices import SEND_NOTICE


@transaction.atomic
def delete_account(account: Account, *, acting_user: User) -> None:
    """Delete the account and its owner, end all of the owner's sessions, and mail that to the owner."""
    owner = account.owner
    addresses = addresses_of(owner)
    delete_notices(addresses)
    for session in UserSession.objects.filter(user=owner):
        session.end()
    Invitation.objects.filter(email__in=addresses).delete()  # those of other accounts; its own go with it
    delete_admin_log(User.objects.filter(pk=owner.pk), Account.objects.filter(pk=account.pk))
    for model in (AccountKey, Payment, Member, Invitation):
        delete_admin_log(model._default_manager.filter(account=account))
    delete_admin_log(Member.objects.filter(user=owner))
    audit.record(account, AuditAction.ACCOUNT_DELETED, acting_user=acting_user)
    pseudonyms.replace_names(account, addresses)
    owner.delete()


def addresses_of(user: User) -> set[str]:
    """Returns all e-mail addresses that the user has, or had when they did something. Three queries."""
    own = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    entries = AuditEntry.objects.filter(actor=user).order_by().values_list("actor_text", flat=True).distinct()
    changes = AuditEntry.objects.filter(
        subject_kind="user",
        subject_id=str(user.pk),
        action__in=[AuditAction.EMAIL_ADDED, AuditAction.EMAIL_CHANGED, AuditAction.EMAIL_REMOVED],
    ).values_list("detail", flat=True)
    changed = {detail[key] for detail in changes for key in ("email", "old") if detail.get(key)}
    return ({user.email, *own, *entries} | changed) - {""}


def delete_notices(addresses: Collection[str]) -> None:
    """Delete the mails to these addresses that are queued, or that failed: tasks keep their arguments."""
    for queued in OrmQ.objects.all():
        task = queued.task
        if task.get("func") == SEND_NOTICE and set(addresses) & set(task["args"][1]):
            queued.delete()
    for done in Task.objects.filter(func=SEND_NOTICE):
        if set(addresses) & set(done.args[1]):
            done.delete()


def delete_admin_log(*rows: "models.QuerySet[models.Model]") -> None:
    """Delete the entries about these rows from the log of Django's admin, which has their names."""
    for queryset in rows:
        kind = ContentType.objects.get_for_model(queryset.model)
        keys = [str(key) for key in queryset.values_list("pk", flat=True)]
        LogEntry.objects.filter(content_type=kind, object_id__in=keys).delete()
