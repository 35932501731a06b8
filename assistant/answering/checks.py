"""Checks an answer without a model: its numbers, and whether its negations match those of its source.

A small model may take a number from a neighbouring sentence, or turn a prohibition into a permission. Both checks mark
what the user should verify; neither proves an error.
"""

import re
from collections.abc import Sequence

import numpy as np

from assistant.answering.citations import Likeness
from assistant.answering.facts import NO_NEGATION, tokens
from indexes import Passage, asked_words, language_of, sentences_of, words_of

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nor|neither|without|cannot|\w+n't|forbidden|prohibited)\b"
    "|不|没|无法|无需|无须|未|禁止|严禁|切勿|请勿|别",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,，;；:：]\s*")
_ASKS_FOR_A_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|hot|far)\b"
    r"|多少|多久|多长|多大|多高|多远|多重|几(?:点|天|号|岁|元|块|分钟|小时|个小时|个月)",
    re.IGNORECASE,
)
SAME_WORDS = 0.9
"""Word overlap from which two texts count as the same statement. Chosen."""
SUPPORTED_WORDS = 0.5
CROSS_LANGUAGE_COSINE = 0.85
"""See :func:`is_supported`. Chosen on 48 training questions of the sample (docs/design.md)."""
SAME_SENTENCE = 0.6
"""Minimum share of an answer's words that a sentence or clause of its source must contain to be compared. Chosen."""


def unknown_numbers(answer: str, question: str, passages: Sequence[Passage]) -> list[str]:
    """The numbers of an answer that neither the question nor any passage contains, each once, as values.

    List numbers are ignored, and so are 0 and 1, which are common in ordinary phrases.
    """
    without_items = re.sub(r"(?m)^\s*\d{1,2}[.)、]\s", "", answer)
    held = set(tokens(question))
    for passage in passages:
        held.update(tokens("\n".join((*passage.headings, passage.text))))
    said = [token for token in tokens(without_items) if _NUMBER.fullmatch(token) and token not in ("0", "1")]
    return [number for number in dict.fromkeys(said) if number not in held and number.lstrip("-") not in held]


def lacks_number(answer: str, question: str, quotes: Sequence[str]) -> bool:
    """Whether a question asks for a number that the answer lacks and the nearest quotes contain. Such an answer is to
    another question ("多少度?" answered with the origin of the tea)."""
    return asks_for_a_number(question) and not _numbers(answer) and any(map(_numbers, quotes))


def asks_for_a_number(question: str) -> bool:
    """Whether a question asks how many, how much, how long ..."""
    return bool(_ASKS_FOR_A_NUMBER.search(question))


def differs_in_negation(sentence: str, passage: Passage) -> bool:
    """Whether exactly one of two matching sentences is negated: that of the answer, or that of its passage.

    False if no sentence or clause of the passage contains most of its words, so that nothing can be compared.
    """
    words = asked_words if language_of(sentence) == "en" else words_of  # "may be used" matches "must not use"
    said = set(words(_NEGATION.sub(" ", _straight(sentence))))
    if not said:
        return False
    clauses = [
        clause for part in sentences_of(passage.text) for clause in (part, *_CLAUSE.split(part)) if clause.strip()
    ]
    shares = [(len(said & set(words(clause))) / len(said), -len(clause), clause) for clause in clauses]
    share, _, source = max(shares, default=(0.0, 0, ""))
    return share >= SAME_SENTENCE and is_negative(sentence) != is_negative(source)


def is_negative(text: str) -> bool:
    """Whether a text contains a negation."""
    return bool(_NEGATION.search(NO_NEGATION.sub(" ", _straight(text))))


def _straight(text: str) -> str:
    return text.replace("’", "'")


def is_supported(
    sentences: Sequence[str],
    question: str,
    passages: Sequence[Passage],
    likeness: Likeness,
    nearest: Sequence[int],
) -> bool:
    """Whether an answer adds something to its question, and passages support it.

    Only words that are not in the question count. A share of :data:`SUPPORTED_WORDS` of them must be in passages of the
    answer's language, with the words of one sentence in one passage. Otherwise the nearest passages must be in the
    other language, and half of the sentences must have a cosine of at least :data:`CROSS_LANGUAGE_COSINE` to theirs.
    ``likeness`` holds the cosines, float32 [sentences, passages]; ``nearest`` holds for each sentence the position of
    the passage nearest in meaning, whatever its language.
    """
    asked = set(words_of(question))
    added = [set(words_of(sentence)) - asked for sentence in sentences]
    total = sum(map(len, added))
    if not total or not passages:
        return False
    language = language_of("".join(sentences))
    same_language = [language_of(passage.text) == language for passage in passages]
    texts = [" ".join((*passage.headings, passage.text)) for passage in passages]
    held = [set(words_of(text)) for text, same in zip(texts, same_language, strict=True) if same]
    if sum(max((len(words & one) for one in held), default=0) for words in added) >= SUPPORTED_WORDS * total:
        return True
    if any(same_language[position] for position in nearest):
        return False
    cosines = [row[position] for row, position in zip(likeness, nearest, strict=True)]
    return float(np.mean([cosine >= CROSS_LANGUAGE_COSINE for cosine in cosines])) >= 0.5


def holds(answer: str, quote: str) -> bool:
    """Whether a sentence of an answer states what a quote does: nearly the same words, the same numbers and negation.

    If not, the quote may contradict the answer and must be shown. So must a table row, because the other rows would
    mislead without it.
    """
    if quote.startswith("|"):
        return False
    quoted, numbers = set(words_of(quote)), _numbers(quote)
    return bool(quoted) and any(
        len(quoted & set(words_of(sentence))) / len(quoted) >= SAME_WORDS
        and numbers <= _numbers(sentence)
        and is_negative(sentence) == is_negative(quote)
        for sentence in sentences_of(answer)
    )


def _numbers(text: str) -> set[str]:
    return {token for token in tokens(text) if _NUMBER.fullmatch(token)}
