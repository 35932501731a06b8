"""Divides a question into its parts, and detects follow-up questions.

"How hot must the water be, and how long does the tea draw?" has two parts. Each part is searched for separately,
because one vector of two topics is near to neither. Parts are recognised by question words, so a list ("tea and
coffee") is one part.

"And how long does it draw?" is a follow-up question, "Who bakes the cakes?" is not. Only a follow-up question is
searched for together with the question before it; any other would find the previous topic again.
"""

import re
from collections.abc import Sequence

from indexes import asked_term, asked_words, names_in, sentences_of

MOST_PARTS = 5
"""Maximum number of parts; the last one contains the rest of the question. Chosen."""
LONGEST, LAST = 1_000, 400
"""Maximum characters of a question that is searched for as it is, and about how many are taken from the end of a longer
one. Chosen."""
LEAST_WORDS = 2
"""A part with fewer words besides question words ("Why?") is not specific enough to be searched for alone. Chosen."""

_WH = r"(?:how|what|when|where|which|who|whose|why|whether)\b"
_AUXILIARY = r"(?:is|are|was|were|do|does|did|can|could|may|must|should|will|would)\b"
_ASKS = rf"(?:{_WH}|{_AUXILIARY})"
_PREPOSITION = r"(?:(?:for|in|at|to|with|on|by|from)\s+)?"
_BORDER_EN = re.compile(
    rf"(?P<end>[?？;；]\s*)|(?P<and>,? (?:and|but|or)(?: also| if so,?| then)?,? )(?={_PREPOSITION}{_ASKS})"
    rf"|(?P<comma>, )(?={_PREPOSITION}{_WH})",
    re.IGNORECASE,
)
_ASKING = re.compile(rf"(?!when (?!{_AUXILIARY})){_WH}", re.IGNORECASE)  # "When it rains, ..." is not a question
_POLAR = re.compile(_AUXILIARY, re.IGNORECASE)
_ASKS_ANEW = re.compile(rf"(?:how|what|when|where|why) {_AUXILIARY}", re.IGNORECASE)
_SUBORDINATE = re.compile(r"\b(?:if|when|unless|because|that|which|who|while|since)\b", re.IGNORECASE)
_SUBJECT = re.compile(
    rf"{_AUXILIARY} (?:it|i|you|we|they|he|she|there|the|an?|my|your|our|his|her|its|their|this|that|these|those)\b",
    re.IGNORECASE,
)
_ASKS_ZH = re.compile(
    "什么|怎么|怎样|如何|为何|哪|多少|多久|多大|多长|几(?!乎)|谁|是否|能不能|可不可以|要不要|有没有|会不会|是不是|吗|呢"
    "|什麼|怎麼|怎樣|為何|誰|嗎"
)
_CONCESSION_ZH = re.compile("^(?:哪怕|无论|不管|不论|任凭|無論|不論)")
_BORDER_ZH = re.compile("[?？;；。!！]+|[，,、](?:另外|还有|以及|并且|而且|同时|那么?|又)?|(?:以及|还有|另外)")
_CJK = re.compile("[\u3400-\u9fff]")
_LEANS = re.compile(
    r"^(?:and|but|or|so|also|then)\b|^(?:what|how) about\b|^why(?: not)?\W*$"
    r"|\b(?:it|its|they|them|theirs?|he|she|him|her|his|this|these|those|such|the (?:same|others?|former|latter)|else"
    r"|instead)\b|\bthat(?=\W*$|\s+(?:one|case)\b)|\b(?:one|ones|then)\W*$"
    rf"|^{_AUXILIARY} that\b|\bthe (?:first|last|second|next) ones?\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|theirs?|he|she|him|her|his|this|these|those|that one)\b"
    "|它|[他她](?!人)|这(?!家|里|次)|其(?!实|中|他)",
    re.IGNORECASE,
)
MOST_BEFORE = 4
"""Maximum number of earlier questions that a follow-up question is searched for with. Chosen."""
_COMPLETE = re.compile(rf"{_PREPOSITION}{_WH} {_AUXILIARY} (?!the\b|an?\b|there\b)[\w-]+\W*$", re.IGNORECASE)
"""Questions that are complete although short, such as "When is breakfast?"."""
_LEANS_ZH = re.compile(
    "^(?:还有|那|另外|再|而|但|或者)|呢[?？]?$|它|[他她](?!人)|这(?!家|里)|该(?!怎|如|不|去|找|用|带|交|做)|其(?!实|中)|上述|前者|后者|同样|也|的话"
)


def last_part(question: str) -> str:
    """The end of a long message, from the start of a sentence: a question usually follows the text it is about, and one
    vector of the whole text would be near to nothing. A message of usual length is returned whole."""
    if len(question) <= LONGEST:
        return question
    taken: list[str] = []
    for sentence in reversed(sentences_of(question)):
        if taken and sum(map(len, taken)) + len(sentence) > LAST:
            break
        taken.insert(0, sentence)
    return "".join(taken).strip()[-LONGEST:]


def parts_of(question: str) -> list[str]:
    """The parts of a question that asks several things, at most :data:`MOST_PARTS`; empty if it asks one thing."""
    question = " ".join(question.split())
    chinese = bool(_CJK.search(question))
    pieces = _asking_zh(_BORDER_ZH.split(question)) if chinese else _asking_en(question)
    parts = [piece.strip(" ,，") for piece in pieces if piece.strip(" ,，")]
    if len(parts) > MOST_PARTS:
        parts[MOST_PARTS - 1 :] = [("，" if chinese else ", ").join(parts[MOST_PARTS - 1 :])]
    return parts if len(parts) > 1 else []


def searched_parts(question: str) -> list[str]:
    """The parts of a question to search for; one that is too short to be searched for alone is joined to the part
    before it."""
    parts: list[str] = []
    for part in parts_of(question):
        if parts and (_says_too_little(part) or _says_too_little(parts[-1])):
            parts[-1] += ("，" if _CJK.search(question) else ", ") + part
        else:
            parts.append(part)
    return parts if len(parts) > 1 else []


def leans(question: str) -> bool:
    """Whether a question is a follow-up, understood only with the one before it: "And on Sundays?", "它多少钱?", but
    not "What is DPO?"."""
    question = question.strip()
    if asked_term(question) in names_in(question):
        return False
    return refers_back(question) or _says_too_little(question)


def _says_too_little(question: str) -> bool:
    """Whether a question is too short to be searched for alone: "How much?", but not "When is breakfast?"."""
    return len(asked_words(question)) < LEAST_WORDS and not _COMPLETE.match(question)


def refers_back(question: str) -> bool:
    """Whether a question refers back by a word: "And on Sundays?", "它多少钱?". "Where is the key?" does not, but is so
    short that it may be a follow-up all the same."""
    question = question.strip()
    return bool((_LEANS_ZH if _CJK.search(question) else _LEANS).search(question))


def leaning_on(earlier: Sequence[str]) -> list[str]:
    """The earlier questions that a follow-up question needs, oldest first: the last one and, while that one names its
    topic only by a pronoun ("Does it include visits?"), the one before it. ``earlier`` is oldest first."""
    needed = list(earlier[-1:])
    while needed and len(needed) < min(MOST_BEFORE, len(earlier)) and _names_nothing(needed[0]):
        needed.insert(0, earlier[-1 - len(needed)])
    return needed


def _names_nothing(question: str) -> bool:
    return _PRONOUN.search(question) is not None and not names_in(question)


def _asking_en(question: str) -> list[str]:
    """The pieces between borders that ask something."""
    pieces: list[str] = []
    start = 0
    for match in _BORDER_EN.finditer(question):
        before, after = question[start : match.start()], question[match.end() :]
        anew = match["and"] or _ASKING.match(before) or (_POLAR.match(before) and _ASKS_ANEW.match(after))
        if match["end"] or (_is_border(before, after) and anew):
            pieces.append(before)
            start = match.end()
    pieces.append(question[start:])
    return [piece for piece in pieces if re.search(rf"(?:^|\s){_ASKS}", piece, re.IGNORECASE)]


def _is_border(before: str, after: str) -> bool:
    """Whether the text after an "and" or a comma is a new question and does not continue a clause.

    "... if the kettle leaks and is still under warranty" and "people who rent and who own" continue one.
    """
    if re.fullmatch(rf"(?:{_WH} ?)?{_AUXILIARY}", before, re.IGNORECASE):  # "What can or can't I bring?"
        return False
    first = after.split()[0].lower()
    clause = _SUBORDINATE.search(before, 1 if re.match(_WH, before, re.IGNORECASE) else 0)
    if re.match(_AUXILIARY, first):
        return not clause or bool(_SUBJECT.match(after))
    return not (clause and first in ("who", "which", "that", "when") and first in before.lower().split()[1:])


def _asking_zh(pieces: list[str]) -> list[str]:
    """Each piece that asks something, with the statements before it since the previous one."""
    asking: list[str] = []
    said = ""
    for piece in pieces:
        said = f"{said}，{piece}" if said and piece.strip() else said or piece.strip()
        if _ASKS_ZH.search(piece) and not _CONCESSION_ZH.match(piece.strip()):
            asking.append(said)
            said = ""
    if said and asking:
        asking[-1] += f"，{said}"
    return asking
