"""The command line: `manage.py COMMAND` in a clone, `python -m chatapi COMMAND` everywhere."""

import os
import sys

# The commands that run until a signal stops them, `up` first.
SERVICES = ("up", "worker", "standby", "dispatch", "send", "receive")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    try:
        run()
    except (
        KeyboardInterrupt
    ):  # as long as the command itself takes no notice of Ctrl-C, such as while it is loaded
        sys.stderr.write("\nStopped.\n")
        sys.exit(128 + 2)


def run() -> None:
    command = "" if "--help" in sys.argv else "".join(sys.argv[1:2])
    is_service = command in SERVICES
    if is_service:
        from chatapi.runtime.processes import restore_signals

        restore_signals()
    if is_service or command == "prepare":
        os.umask(0o077)  # what the product stores is for its own user
    if command == "up":
        from chatapi.runtime.supervision import is_supervisor, supervise

        if is_supervisor():
            return supervise()

    from django.core.management import execute_from_command_line

    from chatapi.runtime.postgres.for_command import database_for
    from chatapi.runtime.postgres.server import PostgresError

    try:
        if command in (*SERVICES[1:], "prepare"):  # `up` first checks its settings and the port
            from chatapi.runtime.unprivileged import leave_root

            leave_root()
        if command == "doctor":
            from chatapi.runtime.unprivileged import become_owner

            become_owner()  # what root may open says nothing about the product
        with database_for(sys.argv[1:]):
            execute_from_command_line(sys.argv)
    except PostgresError as error:
        sys.exit(str(error))
    except Exception as error:
        from chatapi.database.read_only import is_read_only_refusal

        if not is_read_only_refusal(error):
            raise
        from chatapi.runtime.doctor.database import explain_in_one_line

        sys.exit(explain_in_one_line(error))
