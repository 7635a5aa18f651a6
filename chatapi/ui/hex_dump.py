"""Bytes as a hex dump: offset, sixteen bytes, and their printable characters."""

SHOWN = 16 * 1024  # bytes; a longer page is slow to render and of little use


def dump(body: bytes) -> str:
    """Returns a line for 16 bytes: `00000000  7b 22 61 22 3a 31 7d                              |{"a":1}|`."""
    return "\n".join(line(at, body[at : at + 16]) for at in range(0, min(len(body), SHOWN), 16))


def line(at: int, row: bytes) -> str:
    left, right = row[:8].hex(" "), row[8:].hex(" ")
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{at:08x}  {left:<23}  {right:<23}  |{letters}|"
