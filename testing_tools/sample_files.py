"""Sample files for messages without a chosen file: a small picture and a sound, generated here, and a text."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from functools import cache

WIDTH, HEIGHT = 320, 200
RATE = 8000  # samples per second
PICTURE_NAME, VOICE_NAME, TEXT_NAME = "sample.png", "sample.wav", "sample.txt"
TEXT = b"A sample file of the sandbox phone.\n"


@cache
def draw_picture() -> bytes:
    """Returns a PNG of the evening sky over the sea."""
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)  # no filter
        height = y / HEIGHT
        for x in range(WIDTH):
            sun = math.hypot(x - WIDTH * 0.64, (y - HEIGHT * 0.5) * 1.05) < 26 and y < HEIGHT * 0.62
            if sun:
                rows += bytes((255, 226, 150))
            elif y < HEIGHT * 0.62:
                rows += bytes((int(70 + 175 * height), int(80 + 90 * height), int(170 - 40 * height)))
            else:
                rows += bytes((int(40 + 60 * (1 - height)), 62, int(120 - 30 * height)))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@cache
def synthesize_sound() -> bytes:
    """Returns a WAV of one second: the two tones of a door bell."""
    sound = bytearray()
    for sample in range(RATE):
        seconds = sample / RATE
        pitch = 660 if seconds < 0.4 else 550
        fade = math.exp(-4 * (seconds if seconds < 0.4 else seconds - 0.4))
        sound += struct.pack("<h", int(9000 * fade * math.sin(2 * math.pi * pitch * seconds)))
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(sound))
    return target.getvalue()
