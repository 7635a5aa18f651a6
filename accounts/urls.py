"""Addresses of the account's own pages; signing in and out, passwords and sessions are allauth's at /accounts/."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("", views.account, name="account"),
    path("key/", views.rotate_key, name="rotate-key"),
]
