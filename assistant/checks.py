"""What can be checked of an answer without a model: its numbers, and whether it says "not" where its source does.

A small model takes the number from the neighbouring sentence, or turns a prohibition into a permission. Both checks
mark what a reader should look at; neither proves an error.
"""

import re
from collections.abc import Sequence

from assistant.citations import Likeness
from assistant.facts import tokens
from indexes import Passage, language_of, sentences_of, words_of

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|can't|won't|don't|doesn't|didn't|isn't|aren't|wasn't|mustn't"
    r"|shouldn't)\b|不(?![仅但只同过少久错断])|没|无法|无需|无须|未(?!来)|禁止|严禁|切勿|请勿|别(?![的人名处])",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,，;；:：]\s*")
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


def differs_in_negation(sentence: str, passage: Passage) -> bool:
    """Whether a sentence of an answer and the sentence of its passage that says the same differ in a negation.

    False where no sentence or clause of the passage holds most of its words: then there is nothing to compare with.
    """
    said = set(words_of(_NEGATION.sub(" ", sentence)))
    if not said:
        return False
    clauses = [
        clause for part in sentences_of(passage.text) for clause in (part, *_CLAUSE.split(part)) if clause.strip()
    ]
    shares = [(len(said & set(words_of(clause))) / len(said), -len(clause), clause) for clause in clauses]
    share, _, source = max(shares, default=(0.0, 0, ""))
    return share >= SAME_SENTENCE and bool(_NEGATION.search(sentence)) != bool(_NEGATION.search(source))


def is_supported(sentences: Sequence[str], question: str, passages: Sequence[Passage], likeness: Likeness) -> bool:
    """Whether an answer says something that its question does not say, and passages support it.

    Only the words that are not in the question count. A share of :data:`SUPPORTED_WORDS` of them must stand in passages
    of the answer's language, the words of one sentence in one passage. Otherwise the nearest passages must be in the
    other language, and half of the sentences have a cosine of :data:`CROSS_LANGUAGE_COSINE` to one. ``likeness`` holds
    the cosines, float32 [sentences, passages].
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
    if any(same_language[nearest] for nearest in likeness.argmax(axis=1)):
        return False
    return float((likeness.max(axis=1) >= CROSS_LANGUAGE_COSINE).mean()) >= 0.5


def holds(answer: str, quote: str) -> bool:
    """Whether an answer says what a quote says, nearly word for word."""
    quoted = set(words_of(quote))
    return bool(quoted) and len(quoted & set(words_of(answer))) / len(quoted) >= SAME_WORDS
