"""/healthz: this process answers. /readyz: so do the database, its migrations and a dispatcher; 503 says which not."""

from datetime import timedelta

import psycopg
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from hooks.models import Role
from hooks.worker_slots import last_heartbeat

FRESH = timedelta(seconds=10)  # dispatchers write their heartbeat every second
CONNECT_SECONDS = 2  # the least that libpq knows

# Migrations do not become unapplied under a running process: the costly look ends with the first good answer.
migrated = False


def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process serves at all; asks nobody."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 {"status": "ready"}, or 503 {"status": "not ready", "reason": …} with the first thing that is missing."""
    reason = what_is_missing()
    if reason:
        return JsonResponse({"status": "not ready", "reason": reason}, status=503)
    return JsonResponse({"status": "ready"})


def knock() -> None:
    """Connects anew, with little patience: a frozen server answers nobody, and who asks it waits for ever.

    That a kept connection works says nothing of whether the next process gets one. Raises psycopg.Error.
    """
    params = connection.get_connection_params() | {"connect_timeout": CONNECT_SECONDS}
    psycopg.connect(**params).close()


def what_is_missing() -> str | None:
    global migrated
    try:
        knock()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "The database lacks migrations."
            migrated = True
        heartbeat = last_heartbeat(Role.DISPATCH)
    except (DatabaseError, InterfaceError, psycopg.Error):
        return "The database does not answer."
    if heartbeat is None:
        return "No dispatcher is alive: there is no heartbeat of any."
    age = timezone.now() - heartbeat
    if age > FRESH:
        return f"No dispatcher is alive: the last heartbeat is {age.total_seconds():.0f} s old."
    return None
