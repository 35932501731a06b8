"""Converts questions with known answers to the conversations that an adapter is trained on.

Training uses the prompts of inference: a share of the questions (``finetune.retrieved_share``) gets the answering
prompt with passages that the domain's own index finds. The rest is asked without passages, so that the model also
memorises the domain.

There are three kinds of example with passages:

- the right passage with the other retrieved ones (at its own rank, or inserted if it was not found). If the question
  names no document, it is the passage with most of the answer's words, if it has enough of them;
- only passages that do not answer (``finetune.distractors_share`` of them): the answer is the refusal;
- a question that the documents do not answer (``finetune.unanswerable_share`` per answerable question): the answer is
  the refusal.

Both kinds of refusal are rare by default. A small model that sees many of them learns to refuse, whatever the passages
say.

With ``finetune.shared_passages`` a question reuses the passages of an earlier one if they contain its answer (or, for a
refusal, do not contain it although the index found one of them for this question too). Packing encodes them once for
all.
"""

import random
from collections.abc import Sequence

from assistant.answering.citations import support
from assistant.answering.pipeline import Asked, search, show
from assistant.answering.prompts import Prompts
from base_models.messages import Message
from domain import FinetuneConfig, Question
from indexes import Index, Passage

SUPPORTS = 0.35
"""A passage with this share of the gold answer's words may answer the question, so it is not a distractor."""


def training_conversations(
    index: Index, prompts: Prompts, questions: Sequence[Question], config: FinetuneConfig
) -> list[list[Message]]:
    """One conversation per selected question, as described above; the same ones for the same seed."""
    chance = random.Random(config.seed)
    questions = _with_few_unanswerable(questions, config, chance)
    asked = [Asked.of(question) for question in questions]
    conversations: list[list[Message]] = []
    earlier: dict[str, list[list[Passage]]] = {"en": [], "zh": []}
    for question, one, passages in zip(questions, asked, search(index, asked), strict=True):
        grounded = chance.random() < config.retrieved_share or not question.answerable
        shown, right = _shown(index, question, passages, config, chance) if grounded else (None, None)
        if config.shared_passages and shown:
            sets = earlier[prompts.language(question.text)]
            fitting = (found for found in sets if _fits(found, question, shown, right))
            if same := next(fitting, None):
                shown = same
            else:
                sets.append(shown)
        refused = shown is not None and right is None
        answer = prompts.refusal(prompts.language(question.text)) if refused else question.answer
        messages = prompts.answering(one, shown)
        conversations.append([*messages, {"role": "assistant", "content": answer}])
    return conversations


def _fits(earlier: Sequence[Passage], question: Question, shown: Sequence[Passage], right: Passage | None) -> bool:
    """Whether the passages of an earlier question can be reused for this one."""
    known = {passage.id for passage in earlier}
    if right:
        return right.id in known
    return any(one.id in known for one in shown) and not any(_may_answer(one, question) for one in earlier)


def _with_few_unanswerable(
    questions: Sequence[Question], config: FinetuneConfig, chance: random.Random
) -> list[Question]:
    """All answerable questions, and as many unanswerable ones as the settings allow, in file order."""
    others = [question for question in questions if not question.answerable]
    allowed = round((len(questions) - len(others)) * config.retrieved_share * config.unanswerable_share)
    kept = {question.id for question in chance.sample(others, min(allowed, len(others)))}
    return [question for question in questions if question.answerable or question.id in kept]


def _shown(
    index: Index, question: Question, found: Sequence[Passage], config: FinetuneConfig, chance: random.Random
) -> tuple[list[Passage] | None, Passage | None]:
    """The passages for the prompt (None: ask without any), and the one that answers, if any."""
    k = index.domain.settings.retrieval.k
    if not question.answerable:
        return show(index, found[:k]), None
    supports = {passage.id: support(question.answer, passage) for passage in found}
    if question.document:
        supporting = [passage for passage in found if passage.document == question.document]
    else:
        supporting = [passage for passage in found if supports[passage.id] >= SUPPORTS]
    if not supporting and not question.document:
        return None, None  # unknown whether the retrieved passages support the answer
    if not supporting or chance.random() < config.distractors_share:
        shown = show(index, [passage for passage in found if not _may_answer(passage, question)][:k])
        return [passage for passage in shown if not _may_answer(passage, question)], None
    right = max(supporting, key=lambda passage: supports[passage.id])
    chosen = list(found[:k])
    if right not in chosen:
        chosen[chance.randrange(len(chosen))] = right
    shown = show(index, chosen)
    return shown if right in shown else show(index, [right, *chosen]), right


def _may_answer(passage: Passage, question: Question) -> bool:
    return passage.document == question.document or support(question.answer, passage) >= SUPPORTS
