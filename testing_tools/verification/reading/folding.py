"""Lines with levels as HTML in which each level can be folded, without a script."""

from collections.abc import Sequence

from django.utils.safestring import SafeString, mark_safe


def folded(lines: Sequence[SafeString], depths: Sequence[int]) -> SafeString:
    """Returns the lines as nested <details>, all open: a line followed by deeper ones is the summary of these.

    The lines are HTML, with a level for each. Between two lines of the same element is a line break; <details> makes
    its own.
    """
    parts: list[str] = []
    open_depths: list[int] = []
    is_after_line = False
    for at, (line, depth) in enumerate(zip(lines, depths, strict=True)):
        while open_depths and depth <= open_depths[-1]:
            open_depths.pop()
            parts.append("</details>")
            is_after_line = False
        if at + 1 < len(lines) and depths[at + 1] > depth:
            hidden = next((end for end in range(at + 1, len(lines)) if depths[end] <= depth), len(lines)) - (
                at + 1
            )
            words = "1 line" if hidden == 1 else f"{hidden} lines"
            parts.append(f'<details class="fold" open><summary data-hidden="{words}">{line}</summary>')
            open_depths.append(depth)
            is_after_line = False
            continue
        parts.append(f"\n{line}" if is_after_line else line)
        is_after_line = True
    parts.extend("</details>" for _ in open_depths)
    return mark_safe("".join(parts))
