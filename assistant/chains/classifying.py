"""A chain from a text to one of given labels."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableLambda

from assistant.answering.prompts import Prompts
from assistant.chains.prompting import Texts, asking, text_of
from assistant.errors import AssistantError


def classify(llm: BaseChatModel, labels: Sequence[str], prompts: Prompts | None = None) -> Runnable[Texts, str]:
    """From a text to one of at least two labels. A local model cannot write anything else."""
    if len(set(labels)) < 2 or not all(label.strip() for label in labels):
        raise AssistantError(f"the labels are {list(labels)!r}, but there must be at least two, and none empty.")
    schema = {
        "title": "label",
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(dict.fromkeys(labels))}},
        "required": ["label"],
    }

    def ask(given: Texts) -> Any:
        text = text_of(given)
        return asking(prompts, "classify", text, text=text, labels=", ".join(labels))

    def read(answer: Any) -> str:
        label = answer.get("label") if isinstance(answer, dict) else None
        if label not in labels:
            raise AssistantError(f"the model answered {label!r}, which is none of the labels {', '.join(labels)}.")
        return str(label)

    return (RunnableLambda(ask) | llm.with_structured_output(schema) | read).with_config(run_name="classify")
