"""What can be checked of an answer without a model: its numbers, and whether it says "not" where its source does.

A small model takes the number from the neighbouring sentence, or turns a prohibition into a permission. Both checks
mark what a reader should look at; neither proves an error.
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
"""Share of words above which two texts say the same. Chosen."""
SUPPORTED_WORDS = 0.5
CROSS_LANGUAGE_COSINE = 0.85
"""See :func:`is_supported`. Chosen on 48 training questions of the sample (docs/design.md)."""
SAME_SENTENCE = 0.6
"""Share of an answer's words that one sentence or clause of its source must hold to be compared with it. Chosen."""


def unknown_numbers(answer: str, question: str, passages: Sequence[Passage]) -> list[str]:
    """The numbers of an answer that neither the question nor any of the passages holds, each once, as values.

    Numbers that count the items of a list are left out, and so are 0 and 1, which words and grammar write often.
    """
    without_items = re.sub(r"(?m)^\s*\d{1,2}[.)、]\s", "", answer)
    held = set(tokens(question))
    for passage in passages:
        held.update(tokens("\n".join((*passage.headings, passage.text))))
    said = [token for token in tokens(without_items) if _NUMBER.fullmatch(token) and token not in ("0", "1")]
    return [number for number in dict.fromkeys(said) if number not in held and number.lstrip("-") not in held]


def lacks_number(answer: str, question: str, quotes: Sequence[str]) -> bool:
    """Whether a question asks for a number that an answer does not name, and the sentences nearest to it do: then the
    answer is one to something else ("多少度?" answered with where the tea comes from)."""
    return bool(_ASKS_FOR_A_NUMBER.search(question)) and not _numbers(answer) and any(map(_numbers, quotes))


def differs_in_negation(sentence: str, passage: Passage) -> bool:
    """Whether a sentence of an answer and the sentence of its passage that says the same differ in a negation.

    False where no sentence or clause of the passage holds most of its words: then there is nothing to compare with.
    """
    words = asked_words if language_of(sentence) == "en" else words_of  # "may be used" and "must not use" are alike
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
    """Whether a text says "not" in one of its ways."""
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
    """Whether an answer says something that its question does not say, and passages support it.

    Only the words that are not in the question count. A share of :data:`SUPPORTED_WORDS` of them must stand in passages
    of the answer's language, the words of one sentence in one passage. Otherwise the nearest passages must be in the
    other language, and half of the sentences have a cosine of :data:`CROSS_LANGUAGE_COSINE` to one. ``likeness`` holds
    the cosines, float32 [sentences, passages]; ``nearest`` for each sentence the position of the passage that is
    nearest in meaning when language is left aside.
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
    """Whether a sentence of an answer says what a quote says, nearly word for word, with the same numbers and as yes or
    no. Otherwise the quote is what contradicts the answer, and must be seen; and so must the row of a table, since the
    other rows would mislead without it."""
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
