"""The log's filters as one line of text: `kind:ack status:5xx host:a.example text:"an order"`.

The line and the form are two views of the parameters in the address: the line is translated into them, and written
from them. Words without a name are the text that is searched for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# The names in the line → parameters; `status` is both a class of responses, such as 5xx, and a status code.
NAMES = {
    "state": "state", "kind": "kind", "status": "answer", "host": "host", "message": "message", "text": "text",
    "last": "period", "simulated": "simulated", "endpoint": "endpoint", "from": "from", "to": "to",
}  # fmt: skip
TOKEN = re.compile(r'(?:(\w+):)?("(?:[^"\\]|\\.)*"|\S+)')


def parse(line: str) -> dict[str, str]:
    """Returns the parameters that the line means. Of a name that is there twice, the last one counts."""
    found: dict[str, str] = {}
    words: list[str] = []
    for match in TOKEN.finditer(line):
        name, value = match[1], unquote(match[2])
        if name is None or name.lower() not in NAMES:
            words.append(value if name is None else f"{name}:{value}")
            continue
        parameter = NAMES[name.lower()]
        if parameter == "answer" and re.fullmatch(r"[1-5]\d\d", value) and value != "200":
            parameter = "status"
        found[parameter] = value
    if words:
        found["text"] = " ".join(words)
    return found


def write(values: Mapping[str, str]) -> str:
    """Returns the line for these parameters; parse() returns them again."""
    names = {parameter: name for name, parameter in NAMES.items()} | {"status": "status"}
    return " ".join(f"{names[name]}:{quote(value)}" for name, value in values.items())


def quote(value: str) -> str:
    if re.fullmatch(r'[^\s"]+', value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquote(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value
