"""URLs of the account pages. Sign-in, sign-out, passwords and sessions are allauth's, at /accounts/."""

from django.urls import path

from accounts.views import account, audit_log, first_administrator, keys, members

app_name = "accounts"
urlpatterns = [
    path("", account.account, name="account"),
    path("name/", account.rename, name="rename"),
    path("time-zone/", account.set_time_zone, name="time-zone"),
    path("keys/", keys.key_list, name="keys"),
    path("keys/<str:prefix>/rotate/", keys.rotate, name="key-rotate"),
    path("keys/<str:prefix>/revoke/", keys.revoke, name="key-revoke"),
    path("first-steps/", account.show_first_steps, name="first-steps"),
    path("history/", audit_log.audit_log, name="audit-log"),
    path("members/", members.member_list, name="members"),
    path("members/<int:pk>/role/", members.change_role, name="member-role"),
    path("members/<int:pk>/remove/", members.remove, name="member-remove"),
    path("members/<int:pk>/leave/", members.leave, name="member-leave"),
    path("invitations/<int:pk>/revoke/", members.revoke, name="invitation-revoke"),
    path("invitation/", members.invitation, name="invitation"),
    path("first-administrator/", first_administrator.first_administrator, name="first-administrator"),
    path("invitation/accept/", members.accept, name="invitation-accept"),
]
