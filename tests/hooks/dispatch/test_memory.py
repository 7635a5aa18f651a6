"""What a dispatcher's process does not load."""

import json
import subprocess
import sys

from tests.product import ROOT

LOADED = """
import json, sys
import django
django.setup()
import hooks.dispatch.loop
print(json.dumps(sorted(sys.modules)))
"""


def test_a_dispatcher_does_not_load_the_pages_or_the_client_of_media() -> None:
    """All checks of Django would load every page, 35 MB; the client that fetches media takes 4 MB."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "pycurl" in loaded
    assert loaded.isdisjoint({"requests", "chatapi.urls", "rest_framework.views", "slixmpp", "granian"})
