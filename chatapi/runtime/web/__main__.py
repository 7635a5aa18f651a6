"""`python -m chatapi.runtime.web`: the web server as `manage.py up` starts it."""

import os

from chatapi.runtime.web.server import main

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
main()
