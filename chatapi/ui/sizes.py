"""Sizes in words, as pages and error messages write them."""

UNITS = ("B", "KB", "MB", "GB")


def in_words(size: int) -> str:
    """`size` bytes: "512 B", "3.4 KB", "1 MB", "2.5 GB" (1 KB = 1024 B)."""
    value = float(size)
    for unit in UNITS[:-1]:
        if value < 1024:
            return with_unit(value, unit)
        value /= 1024
    return with_unit(value, UNITS[-1])


def with_unit(value: float, unit: str) -> str:
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"
