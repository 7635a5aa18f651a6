"""Addresses of the account's own pages; signing in and out, passwords and sessions are allauth's at /accounts/."""

from django.urls import path

from accounts.views import account, members, trail

app_name = "accounts"
urlpatterns = [
    path("", account.account, name="account"),
    path("name/", account.rename, name="rename"),
    path("key/", account.rotate_key, name="rotate-key"),
    path("first-steps/", account.first_steps, name="first-steps"),
    path("history/", trail.trail, name="trail"),
    path("members/", members.member_list, name="members"),
    path("members/<int:pk>/role/", members.change_role, name="member-role"),
    path("members/<int:pk>/remove/", members.remove, name="member-remove"),
    path("members/<int:pk>/leave/", members.leave, name="member-leave"),
    path("invitations/<int:pk>/revoke/", members.revoke, name="invitation-revoke"),
    path("invitation/", members.invitation, name="invitation"),
    path("invitation/accept/", members.accept, name="invitation-accept"),
]
