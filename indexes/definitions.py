"""Definitions: "What is DPO?" is best answered by the sentence that says what DPO is, wherever it stands.

By meaning alone other sentences on the same thing are as near: the question has no word but its name.
"""

import re
from collections.abc import Sequence

from indexes.language import sentences_of
from indexes.passages import Passage

_ASKED = re.compile(
    r"^(?:(?:what|who)(?:\s+(?:is|are)|'s|’s)\s+(?:an?\s+|the\s+)?(?P<a>[^?,;.]{1,60}?)(?:\s+(?:mean|stand)s?(?:\s+for)?)?"
    r"|what\s+do(?:es)?\s+(?P<b>[^?,;.]{1,60}?)\s+(?:mean|stand\s+for)"
    r"|(?:define|explain)\s+(?:an?\s+|the\s+)?(?P<c>[^?,;.]{1,60}?)"
    r"|(?:请问|请解释(?:一下)?|解释(?:一下)?)?\s*(?:什么是|何为|何谓|什麼是)\s*(?P<d>[^？?，,。]{1,30}?)"
    r"|(?:请问)?\s*(?P<e>[^？?，,。]{1,30}?)\s*(?:是什么(?:意思|东西)?|是啥(?:意思)?|是什麼(?:意思)?|指什么|指的是什么)"
    r")(?:呢|呀|啊)?\s*[?？.。!！]*$",
    re.IGNORECASE,
)
_MARKER = r"^\s*(?:[-*•>]\s+|\d{1,3}[.)、]\s+)?(?:\*\*|`)?(?:an?\s+|the\s+|our\s+|所谓)?[“\"「『]?"
_SAYS_WHAT = (
    r"[”\"」』]?(?:\*\*|`)?\s*(?:[(（]|[:：]|——|—|,\s+(?:also|short)\b|\b(?:is|are|was|means?|stands\s+for|refers\s+to|denotes)\b(?!\s+(?:not|only|also)\b)"
    r"|(?:就|即|也)?(?:是|指|为|意为|意思是)(?!否|不是))"
)


def asked_term(question: str) -> str:
    """What a question wants to have explained: ``"LoRA"`` of "What is LoRA?" and "LoRA 是什么?"; empty for others."""
    match = _ASKED.match(question.strip())
    return next(filter(None, match.groups()), "").strip() if match else ""


def defines(sentence: str, term: str) -> bool:
    """Whether a sentence begins by saying what a term is: "LoRA (Hu et al.) ...", "Low-rank adaptation (LoRA) ...",
    "LoRA 是…"."""
    name = re.escape(term)
    inside = re.search(rf"^[^(（]{{0,60}}[(（]\s*{name}\s*[,，;；)）]", sentence, re.IGNORECASE)
    return bool(inside or re.match(rf"{_MARKER}{name}{_SAYS_WHAT}", sentence, re.IGNORECASE))


def defining(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The first of the passages with a sentence that defines what a question wants to have explained; or none."""
    term = asked_term(question)
    found = (p for p in passages if term and any(defines(sentence, term) for sentence in sentences_of(p.text)))
    return [first] if (first := next(found, None)) else []
