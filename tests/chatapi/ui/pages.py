"""Every page of the site, with the statements that it asks of the database (test_speed.py counts them).

A new page takes one line here, and is then walked over by tests/browser/test_axe.py and measured by `make bench` too.
"""

from __future__ import annotations

# Seen by those who are not signed in.
OPEN = ("account_login", "account_signup", "account_reset_password", "shared:bin", "shared:capture")
QUERIES = {
    "account_change_password": 4,
    "account_confirm_email": 2,
    "account_email": 6,
    "account_email_verification_sent": 2,
    "account_inactive": 2,
    "account_login": 0,
    "account_logout": 2,
    "account_reauthenticate": 8,
    "account_reset_password": 0,
    "account_reset_password_done": 2,
    "account_reset_password_from_key": 3,
    "account_reset_password_from_key_done": 2,
    "account_signup": 0,
    "shared:bin": 2,
    "shared:capture": 3,
    "instances:chat": 15,
    "instances:detail": 17,
    "instances:endpoint": 14,
    "instances:endpoints": 11,
    "instances:history": 10,
    "instances:list": 12,
    "instances:message": 11,
    "instances:messages": 10,
    "instances:new": 6,
    "instances:queue": 14,
    "instances:settings": 8,
    "instances:setup": 6,
    "testing:simulation": 12,
    "testing:verification": 15,
    "testing:bin-response": 10,
    "testing:bin-page": 13,
    "testing:bin-capture": 15,
    "testing:bin-forward": 11,
    "testing:bin-replay": 11,
    "testing:bin-share": 11,
    "testing:phone": 15,
    "testing:sending": 13,
    "log:hook": 11,
    "log:list": 15,
    "log:redeliver": 15,
    "log:redeliveries": 8,
    "log:redelivery": 11,
    "docs:contract": 7,
    "docs:rest": 7,
    "docs:receiver": 7,
    "docs:receivers": 7,
    "api-try": 5,
    "accounts:account": 15,
    "accounts:keys": 6,
    "accounts:invitation": 3,
    "accounts:members": 7,
    "accounts:audit-log": 6,
    "mfa_index": 6,
    "mfa_activate_totp": 9,
    "mfa_generate_recovery_codes": 8,
    "account-delete": 11,
    "usersessions_list": 5,
}
# Pages of the support desk; tests/chatapi/staff holds them on a million rows.
STAFF_QUERIES = {
    "admin:accounts_account_changelist": 3,
    "admin:accounts_accountkey_changelist": 3,
    "admin:accounts_auditentry_changelist": 3,
    "admin:accounts_invitation_changelist": 3,
    "admin:accounts_member_changelist": 3,
    "admin:accounts_payment_changelist": 3,
    "admin:accounts_user_changelist": 3,
    "admin:app_list": 2,
    "admin:django_q_failure_changelist": 6,
    "admin:django_q_ormq_changelist": 5,
    "admin:django_q_schedule_changelist": 5,
    "admin:django_q_success_changelist": 6,
    "admin:health": 53,
    "admin:hooks_attempt_changelist": 3,
    "admin:hooks_endpoint_changelist": 3,
    "admin:hooks_hook_changelist": 3,
    "admin:hooks_redelivery_changelist": 3,
    "admin:index": 2,
    "admin:instances_instance_changelist": 3,
    "admin:testing_tools_bin_by_size": 4,
    "admin:testing_tools_bin_changelist": 3,
}


def visitor_of(name: str) -> str:
    """Of tests/chatapi/permissions.py: who walks on this page."""
    if name.startswith("admin:"):
        return "staff"
    return "anonymous" if name in OPEN else "owner"
