"""A line of characters below a picture that numbers its parts."""

from __future__ import annotations


def ruler(width: int, parts: int, passed: float | None = None) -> str:
    """Draw a line with the number of each part at its end, such as ``---1---2`` for two parts.

    Args:
        width: Characters.
        parts: How many equal parts there are.
        passed: Share of the line that is drawn thick, as time that has passed; None draws plain ASCII.
    """
    line = ["-"] * width
    if passed is not None:
        over = round(width * passed)
        line = ["━"] * over + ["─"] * (width - over)
        line[max(0, min(over, width) - 1)] = "●"
    for part in range(1, parts + 1):
        line[max(0, round(width * part / parts) - 1)] = str(part)
    return "".join(line)
