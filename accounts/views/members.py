"""The pages about members: the owner invites, changes and removes members; invited users accept, members leave."""

from __future__ import annotations

from smtplib import SMTPException
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.actions import members
from accounts.current_user import current_user
from accounts.forms import ABOUT_ROLES, InvitationForm
from accounts.models import Account, Invitation, Member, Role
from accounts.reauthentication import password_required, password_required_to_post
from accounts.views.account import own_account

log = structlog.get_logger(__name__)


def render_page(request: HttpRequest, own: Account, form: InvitationForm, **extra: object) -> HttpResponse:
    context = {
        "account": own,
        "members": own.members.select_related("user").order_by("user__email"),
        "invitations": Invitation.objects.open().filter(account=own).order_by("email"),
        "form": form,
        "roles": [(role, role.label, text) for role, text in ABOUT_ROLES.items()],
        "days": members.INVITATION_VALID_FOR.days,
    }
    return render(request, "accounts/members.html", context | extra)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@password_required_to_post
@never_cache
def member_list(request: HttpRequest) -> HttpResponse:
    """Shows the page; a POST invites. If no mail was sent, the response shows the link once, for the owner to copy."""
    own = own_account(request)
    form = InvitationForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render_page(request, own, form)
    try:
        invitation, token = members.invite(own, **form.cleaned_data, acting_user=own.owner)
    except members.NotInvited as reason:
        form.add_error("email", str(reason))
        return render_page(request, own, form)
    link = f"{settings.SITE_URL}{reverse('accounts:invitation')}?{urlencode({'token': token})}"
    if settings.EMAIL_URL and send_invitation(invitation, link):
        messages.success(request, f"The invitation has been sent to {invitation.email}.")
        return redirect("accounts:members")
    return render_page(
        request, own, InvitationForm(), invited=invitation, link=link, mail_failed=bool(settings.EMAIL_URL)
    )


def send_invitation(invitation: Invitation, link: str) -> bool:
    """Send the mail. Returns whether the mail server accepted it.

    On failure the invitation stays valid, and the owner can copy the link.
    """
    context = {"invitation": invitation, "link": link, "days": members.INVITATION_VALID_FOR.days}
    text = render_to_string("accounts/invitation_mail.txt", context)
    try:
        send_mail(f"You are invited to {invitation.account} in Chat API", text, None, [invitation.email])
    except (OSError, SMTPException) as error:
        log.warning("an invitation could not be sent by mail", error=type(error).__name__)
        return False
    return True


@require_POST
@login_required
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, account=own_account(request), pk=pk)
    members.revoke(invitation, acting_user=current_user(request))
    messages.success(
        request, f"The invitation for {invitation.email} is cancelled. Its link no longer works."
    )
    return redirect("accounts:members")


@require_POST
@login_required
@password_required
def change_role(request: HttpRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Member.objects.select_related("user"), account=own_account(request), pk=pk)
    if request.POST.get("role") not in Role.values:
        return HttpResponse("`role` must be `manager` or `viewer`.", status=400, content_type="text/plain")
    members.change_role(member, role=request.POST["role"], acting_user=current_user(request))
    messages.success(request, f"{member.user.email} is now a {member.get_role_display().lower()}.")
    return redirect("accounts:members")


@require_POST
@login_required
@password_required
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Member.objects.select_related("user"), account=own_account(request), pk=pk)
    members.remove(member, acting_user=current_user(request))
    messages.success(request, f"{member.user.email} is no longer a member.")
    return redirect("accounts:members")


@require_POST
@login_required
def leave(request: HttpRequest, pk: int) -> HttpResponse:
    """Removes the signed-in user from another user's account."""
    member = get_object_or_404(
        Member.objects.select_related("account__owner"), user=current_user(request), pk=pk
    )
    members.remove(member, acting_user=current_user(request))
    messages.success(request, f"You have left {member.account}.")
    return redirect("accounts:account")


@require_safe
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """Shows the page of an invitation's link, also to signed-out users.

    The token is in the query, because paths are logged.
    """
    token = request.GET.get("token", "")
    found = Invitation.objects.matching(token)
    context = {
        "invitation": found,
        "token": token,
        "next_query": f"?{urlencode({'next': request.get_full_path()})}",
        "sign_up_query": f"?{urlencode({'invitation': token, 'next': request.get_full_path()})}",
        "is_for_user": found and getattr(request.user, "email", None) == found.email,
    }
    return render(request, "accounts/invitation.html", context, status=200 if found else 404)


@require_POST
@login_required
def accept(request: HttpRequest) -> HttpResponse:
    try:
        member = members.accept(request.POST.get("token", ""), acting_user=current_user(request))
    except members.NotInvited as reason:
        messages.error(request, str(reason))
        return redirect("accounts:account")
    messages.success(request, f"You are now a {member.get_role_display().lower()} of {member.account}.")
    return redirect("instances:list")
