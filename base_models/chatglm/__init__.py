"""ChatGLM-6B for today's transformers: configuration, model and tokenizer, registered with the Auto classes.

After ``import base_models.chatglm``, ``AutoConfig``, ``AutoTokenizer``, ``AutoModel`` and ``AutoModelForCausalLM`` load
the model type ``chatglm``; the code that comes with the checkpoint is never run.
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
