"""Files that pages offer as downloads: response headers, and lines of CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from django.utils.http import content_disposition_header


def as_download(response: Any, name: str) -> Any:
    """Sets the headers of a download: a file name, never shown inline, no MIME sniffing."""
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "no-store"
    return response


def as_picture(response: Any) -> Any:
    """Sets the headers of a picture that a page of this site shows: its type is certain, and nothing in it is run."""
    response["Content-Disposition"] = "inline"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, max-age=3600"  # a capture does not change
    return response


def csv_line(values: Iterable[Any]) -> str:
    """One line of CSV, with its line break."""
    line = io.StringIO()
    csv.writer(line).writerow([harmless(value) for value in values])
    return line.getvalue()


def harmless(value: Any) -> Any:
    """Prefixes text that a spreadsheet would run as a formula with an apostrophe, as OWASP advises.

    Any client can send anything to a bin, so a cell could otherwise run in the reader's spreadsheet.
    """
    if not isinstance(value, str):
        return "" if value is None else value
    begins = value.lstrip(" \ufeff")[:1]
    return f"'{value}" if begins in tuple("=+-@\t\r\n|%＝＋－＠") and begins else value
