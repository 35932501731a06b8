"""Recognises questions for a definition, such as "What is DPO?", and sentences that define a term.

Embeddings alone do not find the defining sentence: the question contains only the term, so all sentences about the term
are about equally near.
"""

import re
import unicodedata
from collections.abc import Sequence

from indexes.passages import Passage
from indexes.sentences import sentences_of

_LONGEST = 120
"""Maximum length, in characters, of a question for a definition. Chosen."""

_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|ok|and|so|please|well)\b[,!.]?\s*|(?:can|could) you (?:please )?(?=explain|define|tell)"
    r"|tell me\s+|(?:你好|您好|请问|請問|麻烦|请|告诉我|告訴我|解释一下|解释|那么?)[,，!！。:：]?\s*)+",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:what|who)(?: is| are| was| were) (?:meant by |the meaning of )?(?P<a>.+)"
    r"|what do(?:es)? (?P<b>.+) (?:mean|stand for)|(?:define|explain) (?P<c>.+)|what (?P<d>.+) (?:is|are)"
    r"|(?:什么是|什麼是|什么叫|何为|何谓|谁是|誰是) ?(?P<e>.+)"
    r"|(?P<f>.+?) ?(?:到底|究竟)?(?:(?:是|指的是|是指) ?(?:什么|啥|什麼)(?:意思|东西)?|指什么|什么意思|是谁|是誰)",
    re.IGNORECASE,
)
_TRAILING = re.compile(r" ?[?？!！.。]+$|(?<=.)(?:呢|呀|啊|吗)(?=[?？。]*$)")
_ARTICLE = re.compile(r"^(?:(?:an?|the|our|your|my) |你们的|我们的|贵公司的|本店的)(?=.)", re.IGNORECASE)
_CONTRACTED = re.compile(r"\b(what|who)['’]s\b", re.IGNORECASE)
_QUOTATION_MARK = re.compile("[\"'`“”‘’「」『』《》*]")
_NO_TERM = re.compile(
    r"(?:it|this|that|these|those|they|he|she|you|we|i|there|here|new|wrong|up|on|going|happening|next|best|up with .*"
    r"|它们?|这个?|这些|那个?|那些|你|您|我|他|她|大家|.*的)",
    re.IGNORECASE,
)
"""Pronouns and adjectives: no sentence defines them."""
_SEPARATOR = re.compile(r"[,，;；:：?？!！。]|\b(?:and|or) (?:how|why|when|where|what)\b|以及|和怎么|(?<!\d)\.(?= )")

_PREFIX = (
    r"(?:[-*•>|] ?|\(?[\d一二三四五六七八九十]{1,3}[.)、）)] ?|（[\d一二三四五六七八九十]{1,3}）"
    r"|第[\d一二三四五六七八九十百]{1,5}[条款章节] ?)?"
    r"(?:所谓|本(?:法|条例|规定|办法|制度|合同|协议|章程|规则|手册)(?:中|里)?所称的?"
    r"|in this \w+,? |the term |an? |the |our )?"
)
_SAYS_WHAT = (
    r"(?: ?[(（][^()（）]{0,80}[)）])? ?"
    r"(?:[(（]|[:：|]|——|—|–| - |, (?:also|short|or)\b|(?:shall )?means?\b|stands? for\b|refers? to\b|denotes?\b"
    r"|(?:is|are|was|were) (?:an?|the|one|any|some|short for|when|where|what|how|each|every)\b"
    r"|，?(?:是指|系指|係指|指的是|意为|意思是|定义为|就是|即|全称|简称|代表)"
    r"|(?:是|為)(?!否|不|什么|什麼|如何|怎|谁|几|多|[^，。;；]{0,10}的[。！]?$))"
)


def asked_term(question: str) -> str:
    """The term that a question asks to define: ``"LoRA"`` for "What is LoRA?" and "LoRA 是什么?"; otherwise empty."""
    text = " ".join(question.split())
    if len(text) > _LONGEST:
        return ""
    text = _plain(text)
    match = _ASKED.fullmatch(_TRAILING.sub("", _POLITE.sub("", text)).strip())
    term = next(filter(None, match.groups()), "") if match else ""
    term = _ARTICLE.sub("", term.strip())
    return "" if _NO_TERM.fullmatch(term) or _SEPARATOR.search(term) or len(term) > 60 else term


def defines(sentence: str, term: str) -> bool:
    """Whether a sentence starts with the definition of a term.

    Examples: "LoRA (Hu et al.) ...", "LoRA 是…", "Low-rank adaptation (LoRA) ...", "本法所称用人单位，是指…".
    """
    text, name = _plain(sentence[:400]), re.escape(term)
    if re.match(rf"{_PREFIX}{name}(?:e?s)?{_SAYS_WHAT}", text, re.IGNORECASE):
        return True
    short = re.match(
        rf"(?P<long>[^(（]{{1,80}}?) ?[(（](?:[A-Za-z -]+[,，] ?|简称)?{name}[,，;；)）]", text, re.IGNORECASE
    )
    return short is not None and _abbreviates(term, short["long"])


def _abbreviates(term: str, words: str) -> bool:
    """Whether a term abbreviates some words: same first letter, and its letters occur in the words in order.

    Chinese words have no letters to compare, so any short run of Chinese words is accepted.
    """
    long = re.sub(r"^(?:an?|the) ", "", words.lower())
    if not long.isascii():
        return " " not in words and len(words) <= 20
    letters = iter(re.sub(r"[^a-z]", "", long))
    return long[:1] == term[:1].lower() and all(letter in letters for letter in re.sub(r"[^a-z]", "", term.lower()))


def defining(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The first passage with a sentence that defines the term a question asks for; empty if there is none."""
    term = asked_term(question)
    found = (p for p in passages if term and any(defines(sentence, term) for sentence in sentences_of(p.text)))
    return [first] if (first := next(found, None)) else []


def _plain(text: str) -> str:
    """Normalise to half-width characters (except Chinese punctuation) and single spaces; drop quotation marks."""
    wide = "".join(one if one in "，。；：？！（）" else unicodedata.normalize("NFKC", one) for one in text)
    return " ".join(_QUOTATION_MARK.sub("", _CONTRACTED.sub(r"\1 is", wide)).split())
