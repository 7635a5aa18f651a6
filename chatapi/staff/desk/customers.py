"""A customer's page: who it is, what fails, what staff can do, the instances, and the last hooks.

Every view of it is in the audit log, where the owner sees it too.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts import quotas
from accounts.audit import AuditAction
from accounts.models import Account, AccountKey, Member
from chatapi.staff.base.viewing import record_view
from chatapi.staff.desk import issues as issue_pages
from chatapi.staff.desk.links import PAGE_NAMES, customer_url
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from hooks.log.endpoint_numbers import numbers_of, total_of
from hooks.log.newest import newest_hooks
from hooks.models import UNRESOLVED, Endpoint, Hook, Issue
from instances.models import Instance
from instances.pages import status_texts
from instances.pages.endpoints.cards import cards_of, endpoints_of
from instances.pages.instance_list import search
from instances.pages.instance_list.last_errors import last_errors
from instances.pages.instance_list.views import Card
from instances.pages.log.shared_hooks import masked_url
from instances.pages.overview.delivery_counts import bars_of
from instances.receiving.health import describe_receiving
from instances.sending.health import describe_sending

PERMISSION = "accounts.view_account"
# The hooks at the end of the page must be near, however many instances the customer has.
ISSUES_SHOWN = 5
INSTANCES_SHOWN = 20
HOOKS_SHOWN = 20


@require_safe
def customer(request: HttpRequest, account_id: int) -> HttpResponse:
    """The page; `?instance=` chooses one of the customer's instances, `?after=` shows the next ones of the table."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied("Your group does not have access to customers.")
    account = get_object_or_404(Account.objects.select_related("owner"), pk=min(account_id, 2**63 - 1))
    record_view(request, [account], action=AuditAction.CUSTOMER_VIEWED)
    context = admin.site.each_context(request) | {
        "title": str(account),
        "account": account,
        "tools": admin.site.get_model_admin(Account).tools_for(request, account),  # type: ignore[attr-defined]
        "usage": quotas.usage_of(account),
        "lists": lists_of(request, account),
    }
    if request.user.has_perm("accounts.view_member"):
        context["members"] = Member.objects.filter(account=account).count()
    if request.user.has_perm("accounts.view_accountkey"):
        context["keys"] = AccountKey.objects.filter(account=account, revoked_at=None).count()
    own = Instance.objects.filter(owner=account)
    chosen = chosen_instance(request, own)
    if request.user.has_perm("instances.view_instance"):
        context |= instances_context(request, account, own, chosen)
    if request.user.has_perm(issue_pages.PERMISSION):
        context |= delivery_context(request, account, own, chosen)
    return TemplateResponse(request, "chatapi/staff/desk/customer.html", context)


def lists_of(request: HttpRequest, account: Account) -> list[tuple[str, str]]:
    """Links to the account's rows in the tables that the user may view: words and URL."""
    found = [
        ("Account", "accounts.view_account", reverse("admin:accounts_account_change", args=[account.pk])),
        ("User", "accounts.view_user", reverse("admin:accounts_user_change", args=[account.owner_id])),
    ]
    for label, name, text in (
        ("Payments", "accounts_payment", account.owner.email),
        ("Keys", "accounts_accountkey", account.owner.email),
        ("Audit log", "accounts_auditentry", f"account:{account.owner.email}"),
    ):
        app, model = name.split("_")
        found.append((label, f"{app}.view_{model}", list_url(name, text)))
    return [(label, url) for label, permission, url in found if request.user.has_perm(permission)]


def list_url(name: str, text: str) -> str:
    """A list of Django's admin, searched for a text."""
    return reverse(f"admin:{name}_changelist", query={"q": text})


def chosen_instance(request: HttpRequest, own: Any) -> Instance | None:
    number = parse_digits(request.GET.get("instance"), max_digits=INSTANCE_NUMBER_DIGITS)
    if number is None:
        return None
    with_rows = own.select_related("endpoint", "owner__owner", "queue")
    return with_rows.filter(number=min(number, 2**31 - 1)).first()


def instances_context(
    request: HttpRequest, account: Account, own: Any, chosen: Instance | None
) -> dict[str, Any]:
    """The table of instances, those in trouble first, and what is known of the chosen one."""
    asked = search.Asked("", "", "trouble", grouped=False, after=None)
    asked = asked._replace(after=parse_digits(request.GET.get("after"), max_digits=INSTANCE_NUMBER_DIGITS))
    page = search.page_of(own, asked, size=INSTANCES_SHOWN)
    numbers = numbers_of([key for instance in page.instances for key in instance.endpoint.sibling_ids])
    errors = last_errors(page.instances)
    cards = []
    for instance in page.instances:
        counts = total_of(numbers[key] for key in instance.endpoint.sibling_ids)
        cards.append(
            Card(
                instance,
                f"{customer_url(account.pk, instance.number)}#chosen",
                status_texts.describe(instance),
                counts,
                bars_of(counts),
                "",
                errors.get(instance.pk),
            )
        )
    found: dict[str, Any] = {
        "cards": cards,
        "total": page.total,
        "after": cards[-1].instance.number if page.more else None,
        "is_first": asked.after is None,
        "chosen": chosen,
    }
    if chosen is not None:
        found |= {
            "status": status_texts.describe(chosen),
            "sending": describe_sending(chosen),
            "receiving": describe_receiving(chosen),
            "endpoints": [
                (card, masked_url(card.line.endpoint.shown_url))
                for card in cards_of(endpoints_of(chosen), chosen.number)
            ],
            "instance_tools": admin.site.get_model_admin(Instance).tools_for(request, chosen),  # type: ignore[attr-defined]
        }
    return found


def delivery_context(
    request: HttpRequest, account: Account, own: Any, chosen: Instance | None
) -> dict[str, Any]:
    """What fails, and the last hooks, of the chosen instance or of all. Bodies are not read."""
    shown = own if chosen is None else own.filter(pk=chosen.pk)
    found = Issue.objects.of_instances(shown).filter(state__in=UNRESOLVED)
    issues = found.select_related("endpoint", "acknowledged_by").order_by("-last_failed_at", "-pk")
    endpoints = list(Endpoint.objects.of_instances(shown).order_by("pk").values_list("pk", flat=True))
    hooks = newest_hooks(
        Hook.objects.defer("body").select_related("endpoint__instance"), {}, endpoints, HOOKS_SHOWN
    )
    rows = issue_pages.rows(issues[: ISSUES_SHOWN + 1])
    issues_url = reverse("admin:issues", query={"q": str(chosen.number) if chosen else account.owner.email})
    for hook in hooks:
        # read by log/row.html
        hook.shown_instance = hook.endpoint.instance  # type: ignore[attr-defined]
        hook.shown_endpoint = hook.endpoint  # type: ignore[attr-defined]
    return {
        "issues": rows[:ISSUES_SHOWN],
        "issues_url": issues_url if len(rows) > ISSUES_SHOWN else "",
        "hooks": hooks,
        "page_names": PAGE_NAMES,
        "shows_hooks": True,
        "hooks_url": list_url("hooks_hook", str(chosen.number)) if chosen else "",
    }
