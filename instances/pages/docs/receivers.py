"""The example receivers, read from the folder docs/receivers beside manage.py."""

from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString

from instances.pages.docs.credentials import ShownCredentials
from instances.pages.docs.markup import highlight_code


class Receiver(NamedTuple):
    """A receiver: `needs` installs its dependencies, `run` starts it; `tested` is false if no test runs it."""

    key: str
    name: str
    file: str
    language: str  # pygments's name for it
    needs: str
    run: str
    requirements: str
    tested: bool = True
    variables: tuple[str, ...] = ()  # in addition to API_URL, TOKEN, SECRET


RECEIVERS = (
    Receiver(
        "python", "Python", "flask/app.py", "python", "pip install flask requests", "python app.py",
        "Python 3.9 or newer, with Flask.",
    ),
    Receiver(
        "nodejs", "Node.js", "express/app.js", "javascript", "npm install express", "node app.js",
        "Node.js 18 or newer, with Express 4 or 5.",
    ),
    Receiver(
        "php", "PHP", "php/receiver.php", "php", "", "php -S 0.0.0.0:5000 receiver.php",
        "PHP 8.0 or newer, without packages; any web server that runs PHP works.",
    ),
    Receiver(
        "java", "Java", "java/Receiver.java", "java", "", "java -cp gson.jar Receiver.java",
        "JDK 17 or newer, with its built-in HTTP server, and Gson.",
    ),
    Receiver(
        "csharp", "C#", "csharp/Program.cs", "csharp", "dotnet new web", "dotnet run",
        ".NET 8: replace Program.cs with this file.", tested=False,
    ),
    Receiver(
        "google-sheets", "Google Sheets", "sheets/app.js", "javascript", "npm install express", "node app.js",
        "Node.js 18 or newer. It adds a row for every message from a contact. Share the spreadsheet with a service "
        "account; CREDENTIALS is the path of its key file.",
        variables=("SPREADSHEET_ID", "CREDENTIALS"),
    ),
)  # fmt: skip
FOLDER = settings.FILES_DIR / "docs" / "receivers"


class Source(NamedTuple):
    text: str
    html: SafeString


@cache
def read_source(receiver: Receiver) -> Source | None:
    """Returns the file; None if the product was installed without its docs."""
    try:
        text = (FOLDER / receiver.file).read_text()
    except OSError:
        return None
    return Source(text, highlight_code(text, receiver.language))


def build_start_command(receiver: Receiver, credentials: ShownCredentials, *, shown: bool) -> str:
    """Returns the shell lines that start the receiver: its dependencies, environment variables and command."""
    values = {
        "API_URL": credentials.api_url,
        "TOKEN": credentials.shown_token if shown else credentials.copied_token,
        "SECRET": credentials.shown_secret if shown else credentials.copied_secret,
        **dict.fromkeys(receiver.variables, "…"),
    }
    lines = [f"export {name}={value}" for name, value in values.items()]
    needs = [receiver.needs] if receiver.needs else []
    return "\n".join([*needs, *lines, receiver.run])
