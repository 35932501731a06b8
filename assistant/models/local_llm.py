"""A local model as a LangChain text model (``LLM``): it goes on from a text, without a chat format.

LocalLLM(model="qwen2.5-coder-0.5b-instruct", max_tokens=20).invoke("def fibonacci(n):")
"""

from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.llms import LLM
from langchain_core.outputs import GenerationChunk

from assistant.models.local_weights import LocalWeights
from base_models.generation import Generation, stream_after
from base_models.messages import text_prompt


class LocalLLM(LocalWeights, LLM):
    """A text model on this machine. Every field can be overridden for one call, as in :class:`LocalChatModel`."""

    @property
    def _llm_type(self) -> str:
        return "lorewright-local-text"

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of a text, with which LangChain counts tokens."""
        return list(self.answering.tokenizer(text, add_special_tokens=False).input_ids)

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        return "".join(chunk.text for chunk in self._stream(prompt, stop, None, **kwargs))

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        llm = self.overridden(kwargs)
        ids = text_prompt(llm.answering.tokenizer, prompt)
        for piece in stream_after(llm.answering, ids, llm.sampling(), llm.adapter, stop or llm.stop or []):
            if isinstance(piece, Generation):
                info = {"finish_reason": "stop" if piece.stopped else "length"}
                tokens = {"prompt_tokens": piece.prompt_tokens, "completion_tokens": piece.completion_tokens}
                logprobs = {"logprobs": {"content": llm.log_probabilities(piece)}} if llm.logprobs else {}
                yield GenerationChunk(text="", generation_info={**info, "token_usage": tokens, **logprobs})
            else:
                chunk = GenerationChunk(text=piece)
                if run_manager:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
