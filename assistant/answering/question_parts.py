"""What a question asks: its parts, and whether it leans on what was asked before.

"How hot must the water be, and how long does the tea draw?" asks two things. A part is searched for by itself, because
one vector of two topics is near to neither. Parts are recognised by words of asking, so a list ("tea and coffee") is
one part.

"And how long does it draw?" leans on the question before it, "Who bakes the cakes?" does not. Only what leans is
searched for together with that question, because the topic before would be found once more with any other.
"""

import re
from collections.abc import Sequence

from indexes import asked_term, asked_words, names_in, sentences_of

MOST_PARTS = 5
"""What is asked beyond them stays in the last part. Chosen."""
LONGEST, LAST = 1_000, 400
"""Characters of a question that is searched for as it is, and about how many at the end of a longer one are. Chosen."""
LEAST_WORDS = 2
"""A part with fewer words beside those of asking ("Why?") says too little to be searched for alone. Chosen."""

_WH = r"(?:how|what|when|where|which|who|whose|why|whether)\b"
_AUXILIARY = r"(?:is|are|was|were|do|does|did|can|could|may|must|should|will|would)\b"
_ASKS = rf"(?:{_WH}|{_AUXILIARY})"
_PREPOSITION = r"(?:(?:for|in|at|to|with|on|by|from)\s+)?"
_BORDER_EN = re.compile(
    rf"(?P<end>[?？;；]\s*)|(?P<and>,? (?:and|but|or)(?: also| if so,?| then)?,? )(?={_PREPOSITION}{_ASKS})"
    rf"|(?P<comma>, )(?={_PREPOSITION}{_WH})",
    re.IGNORECASE,
)
_ASKING = re.compile(rf"(?!when (?!{_AUXILIARY})){_WH}", re.IGNORECASE)  # "When it rains, ..." does not ask
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
"""Questions before one that leans on them that it is searched for with. Chosen."""
_COMPLETE = re.compile(rf"{_PREPOSITION}{_WH} {_AUXILIARY} (?!the\b|an?\b|there\b)[\w-]+\W*$", re.IGNORECASE)
"""When is breakfast?"""
_LEANS_ZH = re.compile(
    "^(?:还有|那|另外|再|而|但|或者)|呢[?？]?$|它|[他她](?!人)|这(?!家|里)|该(?!怎|如|不|去|找|用|带|交|做)|其(?!实|中)|上述|前者|后者|同样|也|的话"
)


def last_part(question: str) -> str:
    """The end of a long text that somebody asks about, from a sentence on: a question stands behind what it is about,
    and one vector of all of it would be near to nothing. A question of usual length is all of it."""
    if len(question) <= LONGEST:
        return question
    taken: list[str] = []
    for sentence in reversed(sentences_of(question)):
        if taken and sum(map(len, taken)) + len(sentence) > LAST:
            break
        taken.insert(0, sentence)
    return "".join(taken).strip()[-LONGEST:]


def parts_of(question: str) -> list[str]:
    """The parts of a question that asks several things, at most :data:`MOST_PARTS`; empty where it asks one thing."""
    question = " ".join(question.split())
    chinese = bool(_CJK.search(question))
    pieces = _asking_zh(_BORDER_ZH.split(question)) if chinese else _asking_en(question)
    parts = [piece.strip(" ,，") for piece in pieces if piece.strip(" ,，")]
    if len(parts) > MOST_PARTS:
        parts[MOST_PARTS - 1 :] = [("，" if chinese else ", ").join(parts[MOST_PARTS - 1 :])]
    return parts if len(parts) > 1 else []


def searched_parts(question: str) -> list[str]:
    """The parts of a question; one that says too little to be searched for alone stays with the part before it."""
    parts: list[str] = []
    for part in parts_of(question):
        if parts and (_says_too_little(part) or _says_too_little(parts[-1])):
            parts[-1] += ("，" if _CJK.search(question) else ", ") + part
        else:
            parts.append(part)
    return parts if len(parts) > 1 else []


def leans(question: str) -> bool:
    """Whether a question is understood only with the one before it: "And on Sundays?", "它多少钱?", and not "What is
    DPO?"."""
    question = question.strip()
    if asked_term(question) in names_in(question):
        return False
    return refers_back(question) or _says_too_little(question)


def _says_too_little(question: str) -> bool:
    """Whether a question cannot be searched for alone: "How much?", and not "When is breakfast?"."""
    return len(asked_words(question)) < LEAST_WORDS and not _COMPLETE.match(question)


def refers_back(question: str) -> bool:
    """Whether a word of a question points to what was said before: "And on Sundays?", "它多少钱?". "Where is the key?"
    has none, and says so little that it may lean all the same."""
    question = question.strip()
    return bool((_LEANS_ZH if _CJK.search(question) else _LEANS).search(question))


def leaning_on(earlier: Sequence[str]) -> list[str]:
    """Of the questions asked before one that leans on them, the latest first said last, those that it needs: the last
    one, and what that one leans on by a pronoun alone ("Does it include visits?"), back to one that names its topic."""
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
    """Whether what follows an "and" or a comma asks anew, and does not go on with a clause before it.

    "... if the kettle leaks and is still under warranty" and "people who rent and who own" go on.
    """
    if re.fullmatch(rf"(?:{_WH} ?)?{_AUXILIARY}", before, re.IGNORECASE):  # "What can or can't I bring?"
        return False
    first = after.split()[0].lower()
    clause = _SUBORDINATE.search(before, 1 if re.match(_WH, before, re.IGNORECASE) else 0)
    if re.match(_AUXILIARY, first):
        return not clause or bool(_SUBJECT.match(after))
    return not (clause and first in ("who", "which", "that", "when") and first in before.lower().split()[1:])


def _asking_zh(pieces: list[str]) -> list[str]:
    """Each piece that asks something, with what was said before it since the last one that did."""
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
