#!/usr/bin/env python
"""Django's command line; `manage.py up` runs the whole product."""

from chatapi.command_line import main

if __name__ == "__main__":
    main()
