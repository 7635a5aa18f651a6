"""allauth's form for a further e-mail address, with an entry in the audit log."""

from typing import Any

from allauth.account.forms import AddEmailForm
from django.db import transaction
from django.http import HttpRequest

from accounts.actions.users import record_own_change
from accounts.audit import AuditAction


class AddAddressForm(AddEmailForm):
    """Records the added address: once confirmed, it can reset the password, so its owner gets a mail."""

    def save(self, request: HttpRequest) -> Any:
        with transaction.atomic():
            address = super().save(request)
            if address.pk:
                record_own_change(self.user, action=AuditAction.EMAIL_ADDED, email=address.email)
        return address
