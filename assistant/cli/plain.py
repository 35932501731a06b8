"""Makes texts of documents and file names safe to print in a terminal."""


def plain(text: str, lines: bool = False) -> str:
    """Replace control characters in a document's text or a file name, because a terminal would execute them.

    ``lines`` keeps line breaks and tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(one if one.isprintable() or one in kept else "\N{REPLACEMENT CHARACTER}" for one in text)
