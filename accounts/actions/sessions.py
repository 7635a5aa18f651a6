"""Deletes expired sessions, and what django-allauth keeps about them: IP address and browser."""

from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef


@transaction.atomic
def delete_expired() -> str:
    """Delete sessions whose time is up and the list entries of sessions that are gone; runs every day.

    The list of a user's sessions cleans itself only when that user opens it.
    """
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    session = Session.objects.filter(session_key=OuterRef("session_key"))
    deleted, _ = UserSession.objects.exclude(Exists(session)).delete()
    return f"{deleted} ended sessions dropped from the users' lists"
