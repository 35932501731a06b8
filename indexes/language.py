"""Detects whether a text is Chinese or English."""

import re

CJK = "\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han characters and kana, for the brackets of a regular expression: scripts written without spaces."""
CJK_CHARACTER = re.compile(f"[{CJK}]")
_LETTER = re.compile(r"[^\W\d_]")
FUNCTION_WORD = re.compile(
    r"\b(?:a|about|an|and|are|as|at|be|by|can|could|did|do|does|for|from|has|have|how|i|if|in|into|is|it|its|may|me|mean|might|must|my|no|not"
    r"|of|on|or|our|should|so|shall|some|than|that|the|their|them|then|there|these|they|this|to|use|was|we|were|what|when|where"
    r"|which|while|who|why|will|with|would|you|your)\b",
    re.IGNORECASE | re.ASCII,
)


def language_of(text: str) -> str:
    """Return ``"zh"`` or ``"en"``.

    A text is Chinese if at least 30 % of its letters are CJK characters. Below that, a text with any CJK character is
    still Chinese if it contains no common English word: model names are long, so a question such as "LLaMA-Factory
    怎么用?" is mostly Latin letters.
    """
    cjk = len(CJK_CHARACTER.findall(text))
    if not cjk:
        return "en"
    if cjk >= 0.3 * len(_LETTER.findall(text)):
        return "zh"
    return "en" if FUNCTION_WORD.search(text) else "zh"


def is_function_word(word: str) -> bool:
    """Whether an English word is a function word or question word, which says nothing about the topic."""
    return bool(FUNCTION_WORD.fullmatch(word))
