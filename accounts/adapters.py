"""What django-allauth asks of this project: an account with every sign-up, and where people land."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts import actions
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up goes through accounts.actions; a new person starts with a new instance."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        with transaction.atomic():
            user = super().save_user(request, user, form, commit=commit)
            if commit:
                actions.open_account(user)
        return user

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        return reverse("instances:new")
