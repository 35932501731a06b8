"""A LangChain agent over the local model: it decides when to search the documents and when to calculate."""

from collections.abc import Awaitable, Callable, Sequence

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph.state import CompiledStateGraph

from assistant.answering.pipeline import Finished, Found, finish
from assistant.answering.prompts import Prompts
from assistant.answering.refusal import Refusal
from assistant.answers import answer_message
from assistant.chain import asked_in
from assistant.models.chat_model import LocalChatModel
from assistant.tools.calculator import calculator
from assistant.tools.documents import search_tool
from indexes import Index

ROLES = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


def build_agent(llm: LocalChatModel, index: Index, prompts: Prompts, refusal: Refusal) -> CompiledStateGraph:
    """Build LangChain's agent loop over the local model with two tools. Invoke it with ``{"messages": [...]}``.

    The base model selects the tools, because adapters are trained to answer; the adapter of ``llm`` writes the answer.
    Search results are answered, refused and cited as in the answering chain (``answering/pipeline.py``). Only if the
    calculator alone was used, :func:`assistant.answers.read_answer` cannot read the last message.
    """
    chooser = llm.model_copy(update={"adapter": None})
    tools = [search_tool(index, refusal), calculator]
    return create_agent(chooser, tools, middleware=[ChooseThenAnswer(llm, index, prompts)])


class ChooseThenAnswer(AgentMiddleware):
    """Middleware with two prompts: until a tool has run, call a tool; afterwards, answer, without tools.

    With both instructions at once, a model of 0.5B parameters repeats the same call until the recursion limit
    (measured, see docs/design.md).
    """

    def __init__(self, speaker: LocalChatModel, index: Index, prompts: Prompts):
        super().__init__()
        self.speaker = speaker
        self.index = index
        self.prompts = prompts

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        prepared, found = self._prepared(request)
        responses = [handler(one) for one in prepared]
        return self._answered(responses, found) if found else responses[0]

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        prepared, found = self._prepared(request)
        responses = [await handler(one) for one in prepared]
        return self._answered(responses, found) if found else responses[0]

    def _prepared(self, request: ModelRequest) -> tuple[list[ModelRequest], Found | None]:
        """The next requests to the model, and the search result they answer from, if there is one.

        A refused question needs no request; a divided question needs one for each part.
        """
        last = max(number for number, message in enumerate(request.messages) if message.type == "human")
        asked = asked_in(request.messages[: last + 1])
        results = [message for message in request.messages[last:] if isinstance(message, ToolMessage)]
        if not results:
            text = self.prompts.text("agent", self.prompts.language(asked.question))
            return [request.override(system_message=SystemMessage(text))], None
        searches = [message.artifact for message in results if message.artifact is not None]
        found = searches[-1] if searches else None
        calculated = [message.text for message in results if message.artifact is None]
        asks = [(one.asked, one.shown) for one in found.asks] if found else [(asked, [])]
        return [self._asking(request, self.prompts.answering(one, shown, calculated)) for one, shown in asks], found

    def _asking(self, request: ModelRequest, messages: Sequence[dict[str, str]]) -> ModelRequest:
        system, *others = [ROLES[message["role"]](message["content"]) for message in messages]
        return request.override(model=self.speaker, system_message=system, messages=others, tools=[])

    def _answered(self, responses: Sequence[ModelResponse], found: Found) -> ModelResponse:
        """The answer with its citations, or the refusal."""
        refusal = self.prompts.refusal(self.prompts.language(found.asked.question))
        texts = [response.result[-1].text for response in responses]
        finished = Finished(refusal) if found.outcome == "refused" else finish(self.index, found, texts, refusal)
        return ModelResponse(result=[answer_message(found, finished, self.speaker.adapter if responses else None)])
