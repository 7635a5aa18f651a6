"""/healthz: this process responds. /readyz: database, migrations, SECRETS_KEY and a dispatcher are ready; else 503.

With an almost full disk /readyz says "degraded", with 200.
"""

import psycopg
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from chatapi.runtime.secret_rotation import missing_key_ids
from hooks.models import Role, Runner, is_alive
from instances.limits import disk_space

CONNECT_SECONDS = 2  # the smallest value libpq accepts

# Migrations are not unapplied, nor keys changed, under a running process: these costly checks stop once passed.
migrated = False


def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process serves requests; checks nothing else."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 {"status": "ready"}, or 503 {"status": "not ready", "reason": …} with the first thing that is missing.

    200 {"status": "degraded", "reason": …} if the disk is almost full. It is 200 because a load balancer would take a
    machine with 503 out of service, and pages, calls and hooks work.
    """
    reason = what_is_missing()
    if reason:
        return JsonResponse({"status": "not ready", "reason": reason}, status=503)
    if warning := disk_space.warning():
        return JsonResponse({"status": "degraded", "reason": warning})
    return JsonResponse({"status": "ready"})


def check_connection() -> None:
    """Open and close a new connection, with a short timeout: a frozen server never responds.

    A working kept connection does not show that the next process gets one.

    Raises:
        psycopg.Error: no connection within CONNECT_SECONDS.
    """
    params = connection.get_connection_params() | {"connect_timeout": CONNECT_SECONDS}
    psycopg.connect(**params).close()


def what_is_missing() -> str | None:
    global migrated
    try:
        check_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "The database has unapplied migrations."
            if missing_key_ids():
                return "SECRETS_KEY lacks a key that the database needs: see `manage.py check --database default`."
            migrated = True
        age = Runner.objects.heartbeat_age(Role.DISPATCH)
    except (DatabaseError, InterfaceError, psycopg.Error):
        return "The database does not respond."
    if age is None:
        return "No dispatcher is running: there is no heartbeat."
    if not is_alive(age):
        return f"No dispatcher is running: the last heartbeat is {age.total_seconds():.0f} s old."
    return None
