#!/usr/bin/env python
"""Django's command line; `manage.py up` runs the whole product."""

import os
import sys

SERVICES = ("up", "worker", "standby", "dispatch", "receive")  # they run until a signal stops them


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
    is_service = sys.argv[1:2] and sys.argv[1] in SERVICES and "--help" not in sys.argv
    if is_service:
        from chatapi.runtime.processes import restore_signals

        restore_signals()
        os.umask(0o077)  # what the product stores is for its own user

    from django.core.management import execute_from_command_line

    from chatapi.runtime.postgres.for_command import database_for
    from chatapi.runtime.postgres.server import PostgresError

    try:
        if is_service and sys.argv[1] != "up":  # `up` first checks its settings and the port
            from chatapi.runtime.unprivileged import leave_root

            leave_root()
        if sys.argv[1:2] == ["doctor"] and "--help" not in sys.argv:
            from chatapi.runtime.unprivileged import become_owner

            become_owner()  # what root may open says nothing about the product
        with database_for(sys.argv[1:]):
            execute_from_command_line(sys.argv)
    except PostgresError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
