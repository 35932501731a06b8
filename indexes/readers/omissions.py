"""Report what a reader left out in one sentence: nothing is dropped silently."""

from collections.abc import Mapping

_SAID = {
    "struck": ("struck-out text in 1 place", "struck-out text in {} places"),
    "hidden": ("hidden text in 1 place", "hidden text in {} places"),
    "comments": ("1 comment", "{} comments"),
    "charts": ("1 chart without values", "{} charts without values"),
    "pictures": ("1 picture without text", "{} pictures without text"),
    "encoded": ("1 picture encoded as text", "{} pictures encoded as text"),
    "hidden rows": ("1 hidden row", "{} hidden rows"),
    "hidden columns": ("1 hidden column", "{} hidden columns"),
    "attachments": ("1 attachment", "{} attachments"),
}


def left_out(counts: Mapping[str, int]) -> str:
    """``has 2 comments and 1 picture without text, which were left out``; empty if nothing was left out."""
    told = [_SAID[kind][count > 1].format(count) for kind, count in counts.items() if count]
    which = "which was" if sum(counts.values()) == 1 else "which were"
    return f"has {' and '.join(filter(None, [', '.join(told[:-1]), *told[-1:]]))}, {which} left out" if told else ""
