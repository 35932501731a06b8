"""The one path of a question: chain, agent, evaluation and training ask the model the very same."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from assistant import Assistant
from assistant.answering.pipeline import (
    Asked,
    Found,
    answered_anyway,
    find,
    finish,
    join,
    outcome,
    quotes_of,
    search,
    search_query,
)
from assistant.evaluation.evaluate import Cell, said_in
from assistant.indexing import update_index
from assistant.models.chat_model import LocalChatModel
from assistant.tools.documents import search_tool
from assistant.training_examples import training_conversations
from base_models.messages import encode
from domain import Domain, FinetuneConfig, Question, create_domain, set_setting
from indexes import Index, Passage, language_of

PLAIN = "nf4 有多少个取值?"
FOLLOW_UP = "What are common choices for it?"
HISTORY = ({"role": "user", "content": "What is LoRA's rank?"}, {"role": "assistant", "content": "Its capacity."})
TWO_PARTS = "What is the rank of LoRA, and how many values does nf4 have?"


@pytest.fixture
def given(monkeypatch) -> list[list[int]]:
    """The ids of every prompt that a model is given; it answers with one token."""
    ids: list[list[int]] = []
    answering = LocalChatModel.answering.fget

    class Noting:
        def __init__(self, engine):
            self.tokenizer, self.engine = engine.tokenizer, engine
            self.name, self.context_length = engine.name, engine.context_length

        def generate_ids(self, prompts, sampling, adapter):
            ids.extend(map(list, prompts))
            return self.engine.generate_ids(prompts, replace(sampling, max_new_tokens=1), adapter)

        def stream_ids(self, prompt, sampling, adapter):
            ids.append(list(prompt))
            return self.engine.stream_ids(prompt, replace(sampling, max_new_tokens=1), adapter)

    monkeypatch.setattr(LocalChatModel, "answering", property(lambda llm: Noting(answering(llm))))
    return ids


def ids_of_chain(assistant: Assistant, given: list, question: str, history: tuple) -> list[list[int]]:
    given.clear()
    assistant.chain.invoke({"messages": [*messages_of(history), HumanMessage(question)]})
    return list(given)


def ids_of_agent(assistant: Assistant, given: list, question: str, history: tuple) -> list[list[int]]:
    """After the tool was called with the question; whether the model calls it so is not the matter here."""
    messages = [*messages_of(history), HumanMessage(question)]
    call = {"name": "search_documents", "args": {"query": question}, "id": "1", "type": "tool_call"}
    tool = search_tool(assistant.index, assistant.refusal)
    result = tool.invoke(call | {"args": {"query": question, "messages": messages}})
    given.clear()
    assistant.agent.invoke({"messages": [*messages, AIMessage("", tool_calls=[call]), result]})
    return list(given)


def ids_of_evaluation(assistant: Assistant, given: list, question: str, history: tuple) -> list[list[int]]:
    """With the index."""
    found = find(assistant.index, assistant.refusal, [Asked.of(question_of(question, history))])
    given.clear()
    said_in(assistant, Cell("base", index=True), "", [found], lambda *_: None)
    return list(given)


def ids_of_training(assistant: Assistant, question: str, history: tuple) -> list[list[int]]:
    config = FinetuneConfig(retrieved_share=1.0, seed=1)
    (example,) = training_conversations(assistant.index, assistant.prompts, [question_of(question, history)], config)
    return [encode(assistant.llm.loaded.tokenizer, example[:-1]).ids]


def messages_of(history: tuple) -> list:
    return [{"user": HumanMessage, "assistant": AIMessage}[one["role"]](one["content"]) for one in history]


def question_of(question: str, history: tuple) -> Question:
    document = "zh/qlora-nf4.md" if question == PLAIN else "en/lora.md"
    messages = (*history, {"role": "user", "content": question}, {"role": "assistant", "content": "16"})
    return Question("q", messages, document=document)


@pytest.fixture
def default_context(tuned_handbook, copy_of) -> Iterator[Assistant]:
    """Shows as many tokens as by default: with fewer, the right passage may be shown in training only."""
    folder = copy_of(tuned_handbook)
    set_setting(folder / "domain.toml", "retrieval.context_tokens", 600)
    assistant = Assistant.open(folder)
    yield assistant
    assistant.close()


@pytest.mark.parametrize(("question", "history"), [(PLAIN, ()), (FOLLOW_UP, HISTORY)])
def test_chain_agent_evaluation_and_training_ask_the_same_ids(default_context, given, question, history):
    ids = ids_of_chain(default_context, given, question, history)
    assert len(ids) == 1
    assert ids_of_evaluation(default_context, given, question, history) == ids
    assert ids_of_training(default_context, question, history) == ids
    assert ids_of_agent(default_context, given, question, history) == ids


def test_a_question_in_two_parts_is_asked_part_by_part_in_chain_and_evaluation(small_assistant, given):
    ids = ids_of_chain(small_assistant, given, TWO_PARTS, ())
    assert len(ids) == 2
    assert sorted(ids_of_evaluation(small_assistant, given, TWO_PARTS, ())) == sorted(ids)
    answer = small_assistant.ask(TWO_PARTS)
    assert "16" in answer.text
    assert {"en/lora.md", "en/qlora-nf4.md"} <= {passage.document for passage in answer.passages}


def passage(number: int, text: str = "text") -> Passage:
    return Passage(id=number, text=text, document="a.md", headings=(), page=None, line=1, start=0, end=len(text))


def test_the_outcome_of_a_divided_question_and_its_answer():
    first, second = (Found(Asked("A? B?", part=part), [passage(n)], [passage(n)]) for n, part in enumerate("AB"))
    refused = replace(second, outcome="refused")
    both = Found(Asked("A? B?"), [], [], "answered", None, (first, second))
    one = Found(Asked("A? B?"), [], [], "unsure", None, (first, refused))
    assert [part.asked.part for part in both.asks] == ["A", "B"]
    assert join(both, ["a.", "b."], "no") == "a.\n\nb."
    assert [part.asked.part for part in one.asks] == ["A"]
    assert join(one, ["a."], "no") == "a.\n\nB: no"
    anyway = answered_anyway(replace(one, outcome="refused"))
    assert [part.outcome for part in anyway.parts] == ["answered", "unsure"]
    assert anyway.outcome == "unsure"


def test_what_is_asked_by_a_title_alone_is_answered_from_the_opening_of_its_page(assistant):
    for question in ("What is LoRA?", "LoRA 是什么？", "什么是 LoRA?"):
        document = f"{language_of(question)}/lora.md"
        best = search(assistant.index, [Asked(question)])[0][0]
        assert (best.document, best.headings[0]) == (document, "LoRA")
        assert best.start == min(p.start for p in assistant.index.neighbours(best.id, 5, 5)), "the opening"


def test_a_follow_up_is_searched_for_with_the_question_before():
    assert search_query(Asked(FOLLOW_UP, HISTORY)) == f"What is LoRA's rank? {FOLLOW_UP}"
    assert search_query(Asked(PLAIN)) == PLAIN
    assert search_query(Asked("Who bakes the cakes?", HISTORY)) == "Who bakes the cakes?", (
        "it does not lean on anything"
    )
    part = Asked(two := "How long does the kettle last and can it be washed?", part="can it be washed")
    assert search_query(part) == f"{two} can it be washed"


def test_another_topic_after_a_question_is_neither_found_nor_answered_with_the_one_before(assistant):
    asked = [
        Asked("How many values does nf4 have?", HISTORY),
        Asked("Who is the president of France?", HISTORY),
        Asked("法国总统是谁？", HISTORY),
    ]
    values, *unrelated = find(assistant.index, assistant.refusal, asked)
    assert values.passages[0].document == "en/qlora-nf4.md"
    assert [found.outcome for found in unrelated] == ["refused", "refused"]


def test_a_short_question_after_an_unrelated_one_is_answered_as_it_is_alone(assistant):
    before = ({"role": "user", "content": "法国总统是谁？"}, {"role": "assistant", "content": "没有答案。"})
    short = Asked("Where is the rank?", before)
    assert search_query(short) == "法国总统是谁？ Where is the rank?"
    alone, after = find(assistant.index, assistant.refusal, [Asked(short.question), short])
    assert alone.outcome == after.outcome == "answered"
    assert [passage.id for passage in after.passages] == [passage.id for passage in alone.passages]


def test_what_leans_on_the_question_before_and_is_about_something_else_is_unsure(english_only):
    with Index.open(english_only) as index:
        refusal = Assistant(english_only, index).refusal
        follow_up, other = find(
            index, refusal, [Asked(FOLLOW_UP, HISTORY), Asked("And who is the president of France?", HISTORY)]
        )
    assert follow_up.outcome == "answered"
    assert other.outcome != "answered"


def test_of_a_partly_refused_question_the_answer_and_the_refusal_are_both_told(assistant):
    (whole,) = find(assistant.index, assistant.refusal, [Asked(f"{PLAIN} 秘鲁的首都是哪里?")])
    assert [part.outcome for part in whole.parts] == ["answered", "refused"]
    finished = finish(assistant.index, whole, ["nf4 有 16 个取值。"], "没有答案。")
    said, refused, *quotes = finished.text.split("\n\n")
    assert said.startswith("nf4 有 16 个取值。 [1]")
    assert refused == "秘鲁的首都是哪里: 没有答案。"
    assert all(quote.startswith("> ") for quote in quotes)
    assert (finished.written, finished.unsupported, finished.left_out) == ("nf4 有 16 个取值。", [], False)


def test_what_the_model_said_to_an_earlier_part_is_not_said_again(assistant):
    (whole,) = find(assistant.index, assistant.refusal, [Asked(f"{PLAIN} LoRA 的矩阵 B 为什么初始化为零?")])
    assert len(whole.parts) == 2
    finished = finish(assistant.index, whole, ["nf4 有 16 个取值。", "nf4 有 16 个取值。"])
    assert finished.written == "nf4 有 16 个取值。"
    assert finished.left_out


@pytest.fixture(scope="module")
def english_only(tmp_path_factory, handbook) -> Domain:
    import shutil

    domain = create_domain(tmp_path_factory.mktemp("english") / "handbook")
    shutil.copytree(handbook / "documents" / "en", domain.documents / "en")
    update_index(domain)
    return domain


def test_an_answer_in_another_language_is_cited_by_meaning(english_only):
    with Index.open(english_only) as index:
        asked = Asked("nf4 有多少个取值？")
        found = search(index, [asked])[0][:3]
        right = next(passage for passage in found if "16 fixed levels" in passage.text)
        said = "nf4 有 16 个固定的取值。"
        finished = finish(index, Found(asked, found, found), [said])
        assert finished.text.startswith(f"{said} [1]\n\n> ")
        assert finished.citations[0].passage == right
        assert (finished.written, finished.unsupported, finished.unknown_numbers) == (said, [], [])
        partly = finish(index, Found(asked, found, found), [f"{said}埃菲尔铁塔建于 1889 年。"])
        assert (partly.unsupported, partly.unknown_numbers) == (["埃菲尔铁塔建于 1889 年。"], ["1889"])


def test_what_adds_nothing_to_the_question_that_a_passage_carries_is_left_out_and_the_quotes_stand_alone(assistant):
    (found,) = find(assistant.index, assistant.refusal, [Asked(PLAIN)])
    for said in (PLAIN, "nf4 有多少个取值", "有的。", "nf4 的取值由埃菲尔铁塔的高度决定。", "埃菲尔铁塔建于 1889 年。"):
        finished = finish(assistant.index, found, [said])
        assert (finished.written, finished.unsupported, finished.unknown_numbers) == ("", [], [])
        assert outcome(replace(found, outcome="answered"), finished) == "unsure"
        assert finished.text.startswith("> ")
        assert "16" in finished.text
    stopped = finish(assistant.index, found, ["nf4 有"], quoted=False)
    assert stopped.text.startswith("nf4 有")
    assert ">" not in stopped.text


def test_where_a_language_was_asked_for_the_models_words_in_it_stand(english_only):
    with Index.open(english_only) as index:
        passages = search(index, [Asked("nf4 有多少个取值？")])[0][:3]
        said = "埃菲尔铁塔的高度决定取值。"
        wished, other = (
            finish(index, Found(Asked("How many values has nf4?", (), language), passages, passages), [said])
            for language in ("zh", "en")
        )
    assert (wished.written, wished.left_out) == (said, False)
    assert (other.written, other.left_out) == ("", True)


def test_a_domain_that_is_not_calibrated_refuses_nothing_whose_words_a_passage_holds(english_only):
    with Index.open(english_only) as index:
        known = Assistant(english_only, index).refusal
        strict = {**known.fits["en-en"], "intercept": -1e9}  # as if every sentence were far
        refusal = replace(known, fits=known.fits | {"en-en": strict})
        outcomes = [
            one.outcome for one in find(index, refusal, [Asked("nf4 fixed levels?"), Asked("Who baked cakes?")])
        ]
    assert outcomes == ["unsure", "refused"]


def test_a_quote_that_the_answer_holds_already_is_not_repeated(assistant):
    (found,) = find(assistant.index, assistant.refusal, [Asked(PLAIN)])
    quotes = [said for said, _ in quotes_of(assistant.index, found)]
    assert len(quotes) > 1
    assert len(set(quotes)) == len(quotes)
    finished = finish(assistant.index, found, [quotes[0]])
    assert finished.text.count(quotes[0].strip()) == 1
    assert all(" ".join(quote.split()) in finished.text for quote in quotes[1:])


def test_a_question_in_another_language_is_not_refused_in_a_domain_that_is_not_calibrated(english_only):
    with Index.open(english_only) as index:
        assistant = Assistant(english_only, index)
        asked = [Asked("nf4 有多少个取值？"), Asked("LoRA 的秩一般取多大？"), Asked("秘鲁的首都是哪里？")]
        outcomes = [found.outcome for found in find(index, assistant.refusal, asked)]
        assert [outcome == "refused" for outcome in outcomes] == [False, False, True]
