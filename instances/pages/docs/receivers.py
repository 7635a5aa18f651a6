"""The receivers of docs/receivers, read where they lie, beside manage.py."""

from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString

from instances.pages.docs.credentials import Opener
from instances.pages.docs.markup import coloured


class Receiver(NamedTuple):
    """A ready receiver: `needs` to install, `run` to start; `tested` is false where no test can run it."""

    key: str
    name: str
    file: str
    language: str  # as pygments calls it
    needs: str
    run: str
    words: str
    tested: bool = True
    variables: tuple[str, ...] = ()  # besides API_URL, TOKEN, SECRET


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
        "PHP 8.0 or newer and nothing else; any web server that runs PHP will do.",
    ),
    Receiver(
        "java", "Java", "java/Receiver.java", "java", "", "java -cp gson.jar Receiver.java",
        "JDK 17 or newer, its own HTTP server, and Gson.",
    ),
    Receiver(
        "csharp", "C#", "csharp/Program.cs", "csharp", "dotnet new web", "dotnet run",
        ".NET 8: put this in the place of Program.cs.", tested=False,
    ),
    Receiver(
        "google-sheets", "Google Sheets", "sheets/app.js", "javascript", "npm install express", "node app.js",
        "Node.js 18 or newer: it adds a row for every message of a contact. Share the spreadsheet with a service "
        "account, whose key is the file CREDENTIALS.",
        variables=("SPREADSHEET_ID", "CREDENTIALS"),
    ),
)  # fmt: skip
FOLDER = settings.BASE_DIR / "docs" / "receivers"


class Source(NamedTuple):
    text: str
    html: SafeString


@cache
def source(receiver: Receiver) -> Source | None:
    """The file; None where the product was installed without its docs."""
    try:
        text = (FOLDER / receiver.file).read_text()
    except OSError:
        return None
    return Source(text, coloured(text, receiver.language))


def start_line(receiver: Receiver, opener: Opener, *, shown: bool) -> str:
    """The environment variables and the command that start the receiver in a shell."""
    values = {
        "API_URL": opener.api_url,
        "TOKEN": opener.shown_token if shown else opener.copied_token,
        "SECRET": opener.shown_secret if shown else opener.copied_secret,
        **dict.fromkeys(receiver.variables, "…"),
    }
    lines = [f"export {name}={value}" for name, value in values.items()]
    needs = [receiver.needs] if receiver.needs else []
    return "\n".join([*needs, *lines, receiver.run])
