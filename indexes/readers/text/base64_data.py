"""Remove pictures and files embedded as Base64 from a text: nobody searches for them."""

import re

_URL = re.compile(
    r"(!?\[([^\]\n]*)\]\()?<?data:[\w.+-]+/[\w.+-]+(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/=%\s]{20,}>?(?(1)[^)]*\))"
)
_DEFINED = re.compile(r"^ {0,3}\[([^\]\n]+)\]:\s*<?data:[\w.+-]+/[\w.+-]+[^,\s]*;base64,[^\n]*\n?", re.MULTILINE)
_BARE = re.compile(r"(?:[A-Za-z0-9+/]{60,}={0,2}\r?\n){3,}[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9+/]{400,}={0,2}")
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)", re.DOTALL)


def without_encoded(text: str) -> tuple[str, int]:
    """The text without Base64 data, with a picture's name in its place, and the number of removals."""
    count = 0

    def named(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return match[2] or ""

    def dropped(match: re.Match[str]) -> str:
        nonlocal count
        if not _MIXED.match(match[0]):  # a long run of one letter or of digits
            return match[0]
        count += 1
        return ""

    if "base64," in text:
        for name in {match[1] for match in _DEFINED.finditer(text)}:
            text = re.sub(rf"!\[([^\]\n]*)\]\[{re.escape(name)}\]|!\[({re.escape(name)})\](?![\[(])", _name, text)
        text, defined = _DEFINED.subn("", text)
        count += defined
        text = _URL.sub(named, text)
    return _BARE.sub(dropped, text), count


def _name(match: re.Match[str]) -> str:
    return match[1] or match[2] or ""
