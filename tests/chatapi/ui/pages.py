"""Every page of the site, with the statements that it asks of the database (test_speed.py counts them).

A new page takes one line here, and is then walked over by tests/browser/test_axe.py and measured by `make bench` too.
"""

from __future__ import annotations

# Seen by those who are not signed in.
OPEN = ("account_login", "account_signup", "account_reset_password", "shared:bin", "shared:capture")
QUERIES = {
    "account_change_password": 5,
    "account_confirm_email": 2,
    "account_email": 7,
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
    "shared:bin": 3,
    "shared:capture": 3,
    "instances:chat": 16,
    "instances:detail": 18,
    "instances:endpoint": 15,
    "instances:endpoints": 12,
    "instances:history": 11,
    "instances:list": 13,
    "instances:message": 12,
    "instances:messages": 11,
    "instances:new": 7,
    "instances:queue": 15,
    "instances:received": 15,
    "instances:settings": 9,
    "instances:setup": 7,
    "instances:turn": 19,
    "testing:simulation": 13,
    "testing:verification": 16,
    "testing:bin-response": 11,
    "testing:bin-page": 14,
    "testing:bin-capture": 16,
    "testing:bin-compare": 13,
    "testing:bin-forward": 12,
    "testing:bin-replay": 12,
    "testing:bin-share": 12,
    "testing:phone": 16,
    "testing:sending": 14,
    "log:hook": 12,
    "log:list": 16,
    "log:redeliver": 16,
    "log:redeliveries": 9,
    "log:redelivery": 12,
    "issues:issue": 15,
    "issues:list": 13,
    "docs:contract": 8,
    "docs:rest": 8,
    "docs:receiver": 8,
    "docs:receivers": 8,
    "api-try": 6,
    "accounts:account": 16,
    "accounts:keys": 7,
    "accounts:invitation": 3,
    "accounts:members": 8,
    "accounts:audit-log": 7,
    "mfa_index": 7,
    "mfa_activate_totp": 10,
    "mfa_generate_recovery_codes": 9,
    "account-alerts:alerts": 9,
    "account-delete": 12,
    "usersessions_list": 6,
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
    "admin:customer": 28,
    "admin:django_q_failure_changelist": 6,
    "admin:django_q_ormq_changelist": 5,
    "admin:django_q_schedule_changelist": 5,
    "admin:django_q_success_changelist": 6,
    "admin:health": 54,
    "admin:hooks_attempt_changelist": 3,
    "admin:hooks_endpoint_changelist": 3,
    "admin:hooks_hook_changelist": 3,
    "admin:hooks_redelivery_changelist": 3,
    "admin:index": 55,
    "admin:instances_instance_changelist": 3,
    "admin:issues": 7,
    "admin:search": 3,
    "admin:tables": 3,
    "admin:testing_tools_bin_by_size": 5,
    "admin:testing_tools_bin_changelist": 3,
}


def visitor_of(name: str) -> str:
    """Of tests/chatapi/permissions.py: who walks on this page."""
    if name.startswith("admin:"):
        return "staff"
    return "anonymous" if name in OPEN else "owner"
