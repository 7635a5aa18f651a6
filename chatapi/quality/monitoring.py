"""docs/metrics.md, the dashboard and the alert rules are those of chatapi/monitoring; `--renew` writes them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RENEW = "python -m chatapi.quality.monitoring --renew"


def main() -> int:
    import django

    django.setup()
    from chatapi.monitoring.documents import documents

    differing = {
        path: text
        for path, text in documents().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    }
    if "--renew" in sys.argv:
        for path, text in differing.items():
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text)
        return 0
    for path in differing:
        print(f"{path} differs from chatapi/monitoring: {RENEW}")
    return 1 if differing else 0


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    sys.exit(main())
