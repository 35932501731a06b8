"""ChatGLM-6B, native: its configuration, model and tokenizer, registered with transformers' Auto classes.

Importing this package is enough for ``AutoConfig``, ``AutoTokenizer``, ``AutoModel`` and ``AutoModelForCausalLM`` to
know the model type ``chatglm``; the code that came with the checkpoint is never run.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from base_models.chatglm.configuration_chatglm import ChatGLMConfig
from base_models.chatglm.modeling_chatglm import ChatGLMForConditionalGeneration, ChatGLMModel
from base_models.chatglm.tokenization_chatglm import ChatGLMTokenizer, process_response

__all__ = [
    "ChatGLMConfig",
    "ChatGLMForConditionalGeneration",
    "ChatGLMModel",
    "ChatGLMTokenizer",
    "process_response",
]

AutoConfig.register("chatglm", ChatGLMConfig)
AutoTokenizer.register(ChatGLMConfig, slow_tokenizer_class=ChatGLMTokenizer)
AutoModel.register(ChatGLMConfig, ChatGLMModel)
AutoModelForCausalLM.register(ChatGLMConfig, ChatGLMForConditionalGeneration)
