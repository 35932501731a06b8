"""What documents and files' names may do to a terminal: nothing."""


def plain(text: str, lines: bool = False) -> str:
    """Text of a document or a file's name as a terminal may show it: control characters could give it orders.

    ``lines`` keeps line breaks and tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(one if one.isprintable() or one in kept else "\N{REPLACEMENT CHARACTER}" for one in text)
