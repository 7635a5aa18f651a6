"""The frame that every page shares, as a Django app: its template tags are found by this."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "chatapi.ui"
    label = "chatapi_ui"
