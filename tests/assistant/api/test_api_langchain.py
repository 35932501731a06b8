"""LangChain's client of OpenAI's API against a running server."""

import json

import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Water(BaseModel):
    """Water for tea."""

    boiling: bool


@tool
def brew(boiling: bool) -> str:
    """Brew tea. 泡茶。"""
    return "tea"


@pytest.fixture
def chat(api):
    def made(model: str, **more) -> ChatOpenAI:
        return ChatOpenAI(model=model, base_url=api.url, api_key="none", max_retries=0, **more)

    return made


def test_a_domain_invoked_and_streamed(chat) -> None:
    llm = chat("tea-shop", stream_usage=True)
    whole = llm.invoke("How hot should the water be?")
    assert "80 degrees" in whole.text
    streamed = None
    for chunk in llm.stream("How hot should the water be?"):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed.text == whole.text
    assert streamed.usage_metadata["output_tokens"] == whole.usage_metadata["output_tokens"] > 0


async def test_asynchronously(chat) -> None:
    chunks = [chunk.text async for chunk in chat("tea-shop").astream("Thank you!")]
    assert "".join(chunks)


def test_tools_and_structured_output(chat, base: str) -> None:
    llm = chat(base, max_tokens=100)
    (call,) = llm.bind_tools([brew], tool_choice="brew", parallel_tool_calls=False).invoke("泡茶").tool_calls
    assert (call["name"], list(call["args"])) == ("brew", ["boiling"])
    assert isinstance(llm.with_structured_output(Water).invoke("Is it hot?").boiling, bool)
    called = llm.bind_tools([brew], tool_choice="any", parallel_tool_calls=False)
    chunks = list(called.stream("Brew tea."))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert json.loads(whole.tool_call_chunks[0]["args"]).keys() == {"boiling"}


def test_embeddings(api) -> None:
    embeddings = OpenAIEmbeddings(model="tea-shop", base_url=api.url, api_key="none", check_embedding_ctx_length=False)
    hot, cold = embeddings.embed_documents(["hot water", "cold 水"])
    assert len(hot) == len(cold) == 384
