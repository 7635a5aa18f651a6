"""`python -m chatapi.quality.rolling` prints the problems; with `--release VERSION` it writes released.json."""

from __future__ import annotations

import os
import sys

RELEASE = "--release"


def main() -> int:
    import django

    django.setup()
    from django.db.migrations.loader import MigrationLoader

    from chatapi.quality.rolling import later_migrations, releases

    loader = MigrationLoader(None)
    if RELEASE in sys.argv:
        releases.record_release(sys.argv[sys.argv.index(RELEASE) + 1], loader)
        return 0
    lines = later_migrations.report(later_migrations.find_problems(loader, releases.last_released()))
    print("\n".join(lines))
    return 1 if lines else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    sys.exit(main())
