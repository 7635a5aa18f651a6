"""`python -m chatapi COMMAND`: the commands of manage.py, wherever the package is installed."""

from chatapi.command_line import main

main()
