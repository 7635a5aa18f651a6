"""With STAFF_NEEDS_TOTP the staff desk opens to those alone who have a second factor."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import User


def test_without_one_staff_is_sent_to_set_it_up(staff: Client, charlie: User, settings: Any) -> None:
    assert staff.get("/admin/").status_code == 200
    settings.STAFF_NEEDS_TOTP = True
    for address in ("/admin/", "/admin/health/", "/admin/accounts/account/do/look/?pk=1"):
        answer = staff.get(address, follow=False)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/"), address
    Authenticator.objects.create(user=charlie, type=Authenticator.Type.TOTP, data={"secret": "x"})
    assert staff.get("/admin/").status_code == 200
