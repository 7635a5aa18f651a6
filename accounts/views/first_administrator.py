"""The page of a site without users: how to get the one-time link, and the form that it opens."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.actions import first_administrator as actions
from accounts.forms import FirstAdministratorForm


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
@never_cache
def first_administrator(request: HttpRequest) -> HttpResponse:
    """Without a valid link: where to find it while the site is empty, otherwise a redirect to the start page."""
    token = request.POST.get("token") or request.GET.get("token") or ""
    if not actions.is_valid(token):
        if not actions.has_no_user():
            return redirect("account_login")
        status = 404 if token else 200
        return render(request, "accounts/first_administrator.html", {"was_given": bool(token)}, status=status)
    form = FirstAdministratorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = actions.create_first_administrator(
                token, email=form.cleaned_data["email"], password=form.cleaned_data["password1"]
            )
        except actions.LinkNotValid:  # another request has used it meanwhile
            return redirect("account_login")
        messages.success(request, f"The administrator {user.email} was created. Sign in.")
        return redirect("account_login")
    return render(request, "accounts/first_administrator.html", {"form": form, "token": token})
