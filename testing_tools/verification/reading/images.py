"""Recognises pictures by their bytes, whatever type the sender declares. SVG, which can have scripts, is none.

The size in pixels is read from the header, so that a page reserves its place, and none is shown that would need
gigabytes when a browser unpacks it.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

MAX_PIXELS = 40_000_000  # 160 MB in a browser


class Image(NamedTuple):
    """`type` is the content type; sizes are in pixels."""

    type: str
    width: int
    height: int


def read_image(body: bytes) -> Image | None:
    """Returns the PNG, JPEG, GIF or WebP picture that the bytes begin with; None for others and for huge ones."""
    for start, type, read_size in FORMATS:
        if not body.startswith(start):
            continue
        try:
            width, height = read_size(body)
        except (struct.error, ValueError):
            return None
        return Image(type, width, height) if 0 < width * height <= MAX_PIXELS else None
    return None


def png_size(body: bytes) -> tuple[int, int]:
    kind, width, height = struct.unpack_from(">4sII", body, 12)
    if kind != b"IHDR":
        raise ValueError("the first chunk is not IHDR")
    return width, height


def gif_size(body: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", body, 6)
    return width, height


def jpeg_size(body: bytes) -> tuple[int, int]:
    """Reads the segments up to the frame header (SOF0 to SOF15, without DHT, JPG and DAC)."""
    at = 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", body, at)
        if mark != 0xFF or length < 2:
            raise ValueError("no segment")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", body, at + 5)
            return width, height
        at += 2 + length


def webp_size(body: bytes) -> tuple[int, int]:
    form, kind = struct.unpack_from("<4s4s", body, 8)
    if form != b"WEBP":
        raise ValueError("another RIFF file")
    if kind == b"VP8X":
        low, high, low_height, high_height = struct.unpack_from("<HBHB", body, 24)
        return (low | high << 16) + 1, (low_height | high_height << 16) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", body, 26)
    return width & 0x3FFF, height & 0x3FFF


FORMATS: tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", png_size),
    (b"\xff\xd8\xff", "image/jpeg", jpeg_size),
    (b"GIF87a", "image/gif", gif_size),
    (b"GIF89a", "image/gif", gif_size),
    (b"RIFF", "image/webp", webp_size),
)
