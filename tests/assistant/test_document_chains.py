"""Chains with a model that answers what the test says, and with a random local one."""

import asyncio
import json

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from pydantic import BaseModel, field_validator

from assistant import Answer, AssistantError, LocalChatModel
from assistant.chains import (
    answering,
    classify,
    compare,
    extract_table,
    multi_query,
    search_queries,
    standalone_question,
    summarise,
    translate,
)
from assistant.chains.questions import merged
from assistant.chains.summarising import joined
from indexes import IndexingError
from indexes.langchain_parts import PassageRetriever, document_passages

HISTORY = [("user", "What is LoRA?"), ("assistant", "A low-rank update.")]


class Seen(BaseCallbackHandler):
    """The texts of the messages to the model."""

    def __init__(self):
        self.texts: list[str] = []

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.texts += [messages[0][-1].text]


class Scripted(FakeListChatModel):
    """A model with structured output that is not constrained, like that of a weak remote server."""

    def with_structured_output(self, schema, *, include_raw=False, **kwargs):
        def read(message):
            parsed = json.loads(message.text)
            return {"raw": message, "parsed": parsed, "parsing_error": None} if include_raw else parsed

        return self | RunnableLambda(read)


def says(*answers: object) -> Scripted:
    return Scripted(responses=[one if isinstance(one, str) else json.dumps(one) for one in answers])


@pytest.fixture(scope="module")
def random_llm(tiny_folder) -> LocalChatModel:
    return LocalChatModel(model=str(tiny_folder), engine="transformers", max_tokens=40)


def test_a_follow_up_is_rewritten_in_view_of_the_conversation():
    seen = Seen()
    chain = standalone_question(says("\nWhat is the rank of LoRA?\nConversation: more"))
    given = {"question": "And its rank?", "history": [("system", "secret"), *HISTORY]}
    assert chain.invoke(given, {"callbacks": [seen]}) == "What is the rank of LoRA?"
    assert "User: What is LoRA?\nAssistant: A low-rank update.\n\nRewrite" in seen.texts[0]
    assert "And its rank?" in seen.texts[0]
    assert "secret" not in seen.texts[0]
    standalone_question(says("?")).invoke({"question": "它的秩是多少?", "history": HISTORY}, {"callbacks": [seen]})
    assert "用户: What is LoRA?\n助手: A low-rank update." in seen.texts[1]


def test_without_history_or_without_a_rewritten_question_the_question_stays():
    assert standalone_question(says("never")).invoke({"question": "龙井?", "history": []}) == "龙井?"
    assert standalone_question(says(" \n ")).invoke({"question": "And then?", "history": HISTORY}) == "And then?"


def test_several_queries_are_merged_by_reciprocal_rank():
    documents = {name: Document(name, id=name) for name in "abcd"}
    found = {"q": "ab", "x": "cb", "y": "db"}
    retriever = RunnableLambda(lambda query: [documents[name] for name in found[query]])
    chain = multi_query(says({"queries": ["x", " y ", "x", " "]}), retriever, k=3)
    assert [document.id for document in chain.invoke("q")] == ["b", "a", "c"]
    assert merged([[Document("same"), Document("same")], []]) == [Document("same")]


def test_the_question_itself_is_the_first_query(random_llm):
    queries = search_queries(random_llm.bind(max_tokens=200).bound, count=2).invoke("龙井用多少度的水泡?")
    assert queries[0] == "龙井用多少度的水泡?"
    with pytest.raises(AssistantError, match="count is 0"):
        search_queries(random_llm, count=0)


@pytest.mark.parametrize(
    ("text", "to", "prompt"),
    [
        ("龙井怎么泡?", None, "into English"),
        ("How to brew it?", None, "翻译成中文"),
        ("How to brew it?", "zh", "翻译成中文"),
        ("How to brew it?", "en", None),
    ],
)
def test_a_question_is_translated_into_the_other_language(text, to, prompt):
    seen = Seen()
    translated = translate(says("done"), to).invoke(text, {"callbacks": [seen]})
    assert translated == ("done" if prompt else text)
    assert [prompt in one and text in one for one in seen.texts] == ([True] if prompt else [])


def test_another_language_is_refused():
    with pytest.raises(AssistantError, match="'fr' is not a language to translate into; use en or zh"):
        translate(says("?"), "fr")


def test_a_long_text_is_summarised_in_parts_and_then_as_a_whole():
    seen, steps = Seen(), []
    documents = [Document(f"Part {number}. " + "word " * 100) for number in range(6)]
    chain = summarise(says("short"), part_tokens=300, progress=lambda *step: steps.append(step))
    assert chain.invoke(documents, {"callbacks": [seen]}) == "short"
    assert [sum(f"Part {number}." in text for text in seen.texts) for number in range(6)] == [1] * 6
    assert len(seen.texts) == 4
    assert "short\n\nshort\n\nshort" in seen.texts[-1]
    assert steps == [("summarising", done, 3) for done in (1, 2, 3)]


def test_summaries_that_are_long_are_combined_in_several_rounds_that_end():
    seen = Seen()
    long = "摘要很长。" * 100
    summarise(says(long), part_tokens=300).invoke([Document("字" * 290)] * 9, {"callbacks": [seen]})
    assert len(seen.texts) == 9 + 5 + 3 + 2 + 1
    assert joined(["a" * 4000] * 3, 10, at_least=2) == ["a" * 4000 + "\n\n" + "a" * 4000, "a" * 4000]


def test_a_text_without_sentences_is_divided_too_and_one_that_is_too_long_is_refused():
    seen = Seen()
    summarise(says("x"), part_tokens=100).invoke("表" * 350, {"callbacks": [seen]})
    assert "".join(seen.texts).count("表") == 350
    with pytest.raises(AssistantError, match="has 4 parts of 100 tokens, more than max_parts=3; raise max_parts"):
        summarise(says("x"), part_tokens=100, max_parts=3).invoke("表" * 350)
    with pytest.raises(AssistantError, match="there is no text"):
        summarise(says("x")).invoke([Document(" ")])


def test_the_last_call_of_a_summary_streams_and_runs_asynchronously(random_llm):
    chain = summarise(random_llm, part_tokens=60)
    text = "Use water of 80 degrees for green tea. " * 10
    pieces = list(chain.stream(text))
    assert len(pieces) > 3
    assert "".join(pieces) == chain.invoke(text) == asyncio.run(chain.ainvoke(text))


class Dose(BaseModel):
    tea: str
    grams: int

    @field_validator("grams")
    @classmethod
    def positive(cls, value: int) -> int:
        if value <= 0:
            raise ValueError("not positive")
        return value


def test_rows_have_their_source_and_say_what_does_not_stand_in_it():
    passages = [Document("Take 3 grams of Longjing."), Document("乌龙茶取 1,500 克。")]
    answers = says(
        {"rows": [{"tea": "longjing", "grams": 3}, {"tea": "Longjing", "grams": 30}, {"tea": "bad", "grams": -1}]},
        {"rows": [{"tea": "乌龙茶", "grams": 1500}, {"tea": "乌龙茶", "grams": 1500}, {"tea": "half"}]},
    )
    rows = extract_table(answers, Dose).invoke(passages)
    assert [(row.values.tea, row.values.grams, row.unsupported) for row in rows] == [
        ("longjing", 3, []),
        ("Longjing", 30, ["grams"]),
        ("乌龙茶", 1500, []),
    ]
    assert [row.source for row in rows] == [passages[0], passages[0], passages[1]]


def test_a_schema_with_definitions_is_enforced_on_a_random_model(random_llm):
    class Tea(BaseModel):
        kind: Dose
        green: bool

    llm = random_llm.model_copy(update={"max_tokens": 400})
    table = extract_table(llm, Tea, max_rows=2)
    assert all(isinstance(row.values, Tea) for row in table.invoke("Take 3 grams of Longjing."))
    schema = {"title": "row", "type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
    rows = extract_table(llm, schema, max_rows=2).invoke("1 or 2")
    assert all(row.values["n"] in (1, 2) and row.unsupported == [] for row in rows)


def test_two_texts_are_compared_and_a_long_one_is_summarised_first():
    seen = Seen()
    given = {"first": "Green tea.", "second": [Document("黑茶。" * 100)], "about": "price {{ 7*7 }}"}
    assert compare(says("short", "compared"), part_tokens=200).invoke(given, {"callbacks": [seen]}) == "compared"
    assert "price {{ 7*7 }}." in seen.texts[-1]
    assert "Text A:\nGreen tea." in seen.texts[-1]
    assert "黑茶" not in seen.texts[-1]


def test_a_random_model_answers_with_one_of_the_labels(random_llm):
    chain = classify(random_llm, ["投诉", "praise"])
    assert set(chain.batch(["机器坏了", "Great!", "?"])) <= {"投诉", "praise"}
    with pytest.raises(AssistantError, match="at least two"):
        classify(random_llm, ["one", "one"])
    with pytest.raises(AssistantError, match="'other', which is none of the labels a, b"):
        classify(says({"label": "other"}), ["a", "b"]).invoke("x")


def test_the_answering_chain_takes_a_question_and_gives_an_answer(small_assistant):
    answers = answering(small_assistant).batch(["What is LoRA's rank?", "hello"])
    assert [type(answer) for answer in answers] == [Answer, Answer]
    assert answers[0].passages
    assert answers[1].outcome == "small_talk"


def test_the_chains_pipe_into_a_retriever_and_are_traced(small_assistant):
    runs = RunCollectorCallbackHandler()
    retriever = PassageRetriever(index=small_assistant.index, k=2)
    found = (translate(says("LoRA 的秩")) | retriever).invoke("What is the rank?", {"callbacks": [runs]})
    assert len(found) == 2
    (run,) = runs.traced_runs
    assert [child.name for child in run.child_runs] == ["translate", "PassageRetriever"]


def test_all_passages_of_a_document_in_their_order(small_assistant):
    documents = document_passages(small_assistant.index, "zh/lora.md")
    starts = [document.metadata["start"] for document in documents]
    assert len(documents) > 2
    assert starts == sorted(starts)
    assert {document.metadata["document"] for document in documents} == {"zh/lora.md"}
    with pytest.raises(IndexingError, match=r"no\.md is not in the index; Index\.documents\(\) lists"):
        document_passages(small_assistant.index, "no.md")
