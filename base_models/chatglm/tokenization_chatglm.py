"""The tokenizer of ChatGLM-6B: SentencePiece ``ice_text.model`` with GLM's own blanks and special tokens.

Line breaks, tabs and runs of 2 to 80 blanks are single tokens, written ``<n>``, ``<|tab|>`` and ``<|blank_k|>`` in the
text for SentencePiece. A text ends with [gMASK] <sop>, a pair with <eop> too:

    tokenizer.encode("问")         tokens(问) [gMASK] <sop>
    tokenizer.encode("问", "答")   tokens(问) [gMASK] <sop> tokens(答) <eop>

There are two ways to encode. ``encode`` and calling the tokenizer behave as the released one, for scripts that rely on
it: ``<sop>``, ``<eop>``, ``<unk>``, ``<pad>`` and ``[MASK]`` in a text become control tokens. The chat format uses
:meth:`ChatGLMTokenizer.encode_text`, with which no text becomes a control token.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from transformers import PreTrainedTokenizer
from transformers.tokenization_utils_base import AddedToken, BatchEncoding, PaddingStrategy

from base_models.errors import ModelError

CHAT_TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")
_BLANKS = re.compile(" {2,80}")
_WRITTEN_BLANKS = re.compile(r"<\|blank_([2-9]|[1-7][0-9]|80)\|>")


class ChatGLMTokenizer(PreTrainedTokenizer):
    """Text to ids and back, as in the release of 2023.

    ``num_image_tokens`` shifts every id: 0 for the vocabulary of 130,528; 20,000, the default that older folders rely
    on, for that of 150,528.
    """

    vocab_files_names = {"vocab_file": "ice_text.model"}
    model_input_names = ["input_ids", "attention_mask", "position_ids"]
    padding_side = "left"
    bidirectional_prompt = True
    """Prompt tokens attend to all others, so an earlier answer in it cannot be trained, see messages.py."""

    def __init__(
        self,
        vocab_file: str,
        bos_token: str = "<sop>",
        eos_token: str = "<eop>",
        end_token: str = "</s>",
        mask_token: str = "[MASK]",
        gmask_token: str = "[gMASK]",
        pad_token: str = "<pad>",
        unk_token: str = "<unk>",
        num_image_tokens: int = 20_000,
        **kwargs: Any,
    ):
        self.vocab_file = vocab_file
        self.num_image_tokens = num_image_tokens
        self.end_token, self.gmask_token = str(end_token), str(gmask_token)
        self.sentencepiece = sentencepiece.SentencePieceProcessor(model_file=vocab_file)
        typed = (bos_token, eos_token, unk_token, pad_token, mask_token)  # the only ones that text can contain
        self._added_tokens_decoder = {self._convert_token_to_id(str(token)): _stripping(token) for token in typed}
        for name in ("do_lower_case", "remove_space", "clean_up_tokenization_spaces"):
            kwargs.pop(name, None)  # false in every release
        kwargs.pop("auto_map", None)  # names code of the checkpoint, which is never run
        kwargs.pop("model_specific_special_tokens", None)  # [gMASK] and </s> in a text stay text
        kwargs.setdefault("chat_template", CHAT_TEMPLATE)
        super().__init__(
            bos_token=bos_token,
            eos_token=eos_token,
            mask_token=mask_token,
            pad_token=pad_token,
            unk_token=unk_token,
            num_image_tokens=num_image_tokens,
            clean_up_tokenization_spaces=False,
            **kwargs,
        )
        self.gmask_token_id = self._convert_token_to_id(self.gmask_token)

    # text to ids

    def encode_text(self, text: str) -> list[int]:
        """Ids of a text without special tokens; nothing in it becomes a control token."""
        return [number + self.num_image_tokens for number in self.sentencepiece.encode(_write_blanks(text))]

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return self.sentencepiece.encode(_write_blanks(text), out_type=str)

    def _convert_token_to_id(self, token: str) -> int:
        return self.sentencepiece.piece_to_id(token) + self.num_image_tokens

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """``prompt [gMASK] <sop>``, and ``answer <eop>`` if there is one."""
        ids = [*token_ids_0, self.gmask_token_id, self.bos_token_id]
        return ids if token_ids_1 is None else [*ids, *token_ids_1, self.eos_token_id]

    # ids to text

    def _decode(
        self, token_ids: int | Sequence[int], skip_special_tokens: bool = False, *args: Any, **kwargs: Any
    ) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else [int(number) for number in token_ids]
        dropped = {self.pad_token_id, *(self.all_special_ids if skip_special_tokens else ())}
        pieces = [number - self.num_image_tokens for number in ids if number not in dropped]
        size = self.sentencepiece.get_piece_size()
        text = self.sentencepiece.decode([piece for piece in pieces if 0 <= piece < size])
        text = text.replace("<n>", "\n").replace("<|tab|>", "\t")
        return _WRITTEN_BLANKS.sub(lambda written: " " * int(written[1]), text)

    def _convert_id_to_token(self, index: int) -> str:
        if index < self.num_image_tokens:
            return f"<image_{index}>"
        return self.sentencepiece.id_to_piece(index - self.num_image_tokens)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of tokens, with real blanks."""
        return self._decode([self._convert_token_to_id(token) for token in tokens])

    # the vocabulary

    @property
    def vocab_size(self) -> int:
        """Number of ids; a model's embedding has a few more, unused rows."""
        return self.sentencepiece.get_piece_size() + self.num_image_tokens

    def get_vocab(self) -> dict[str, int]:
        """Every token with its id."""
        return {self._convert_id_to_token(number): number for number in range(self.vocab_size)}

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Copy ``ice_text.model``."""
        target = Path(save_directory) / f"{filename_prefix + '-' if filename_prefix else ''}ice_text.model"
        if target.resolve() != Path(self.vocab_file).resolve():
            shutil.copyfile(self.vocab_file, target)
        return (str(target),)

    def token_bytes(self) -> list[bytes]:
        """The bytes that each id adds to a text, for constrained decoding; control tokens and images add none."""
        pieces, unwritten = self.sentencepiece, {self._convert_token_to_id("</s>"), self.gmask_token_id}
        unwritten |= set(self.all_special_ids)
        return [
            b""
            if number < self.num_image_tokens or number in unwritten
            else _piece_bytes(pieces, number - self.num_image_tokens)
            for number in range(self.vocab_size)
        ]

    # chat

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """As in transformers, but only the template's own control tokens become control tokens."""
        if kwargs.get("tokenize") is False or args:
            return super().apply_chat_template(conversation, *args, **kwargs)
        for name in ("continue_final_message", "return_assistant_tokens_mask"):
            if kwargs.pop(name, False):
                raise ModelError(f"{name} is not supported by the chat format of ChatGLM-6B.")
        return_dict = kwargs.pop("return_dict", True)
        for_calling = {
            name: kwargs.pop(name)
            for name in ("padding", "truncation", "max_length", "return_tensors")
            if name in kwargs
        } | (kwargs.pop("tokenizer_kwargs", None) or {})
        kwargs.pop("sanitize_control_tokens", None)
        batched = not isinstance(conversation[0], Mapping)
        ids = [self._chat_ids(messages, kwargs) for messages in (conversation if batched else [conversation])]
        encoded = self(ids if batched else ids[0], add_special_tokens=False, **for_calling)
        return encoded if return_dict else encoded["input_ids"]

    def _chat_ids(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> list[int]:
        answer = messages[-1]["content"] if messages[-1]["role"] == "assistant" else None
        answering = answer is not None or kwargs.get("add_generation_prompt", False)
        asked = messages if answer is None else messages[:-1]
        options = {**kwargs, "add_generation_prompt": answering}
        text = str(super().apply_chat_template([dict(message) for message in asked], tokenize=False, **options))
        control = [self.gmask_token_id, self.bos_token_id] if answering else []
        if answering:  # the template ends with its control tokens, so they are found without parsing what users typed
            text = text.removesuffix(f"{self.gmask_token}{self.bos_token}")
        ids = self.encode_text(text) + control
        return ids if answer is None else [*ids, *self.encode_text(answer), self.eos_token_id]

    # padding

    def _pad(
        self,
        encoded_inputs: dict[str, Any] | BatchEncoding,
        max_length: int | None = None,
        padding_strategy: PaddingStrategy = PaddingStrategy.DO_NOT_PAD,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
    ) -> dict[str, Any]:
        """Pad one row; with a max_length, add the released model's mask and positions.

        ``attention_mask`` is [1, length, length], True where a token does *not* attend, ``position_ids`` [2, length].
        An existing 0/1 mask is kept and padded.
        """
        ids = list(encoded_inputs["input_ids"])
        side = padding_side or self.padding_side
        if padding_strategy == PaddingStrategy.LONGEST:
            max_length = len(ids)
        if max_length is not None and pad_to_multiple_of and max_length % pad_to_multiple_of:
            max_length += pad_to_multiple_of - max_length % pad_to_multiple_of
        missing = 0
        if padding_strategy != PaddingStrategy.DO_NOT_PAD and max_length is not None:
            missing = max(0, max_length - len(ids))
        around = (missing, 0) if side == "left" else (0, missing)
        padded = dict(encoded_inputs)
        if max_length is not None and return_attention_mask is not False and "attention_mask" not in padded:
            mask, positions = self._mask_and_positions(ids)
            padded["attention_mask"] = np.pad(mask, (around, around), constant_values=True)[None]
            padded["position_ids"] = np.pad(positions, ((0, 0), around))
        elif "attention_mask" in padded and missing:
            padded["attention_mask"] = list(np.pad(padded["attention_mask"], around))
        padded["input_ids"] = [self.pad_token_id] * around[0] + ids + [self.pad_token_id] * around[1]
        return padded

    def _mask_and_positions(self, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
        length = len(ids)
        context = ids.index(self.bos_token_id) if self.bos_token_id in ids else length
        hidden = np.triu(np.ones((length, length), dtype=bool), k=1)
        hidden[:, :context] = False
        masks = [token for token in (self.gmask_token_id, self.mask_token_id) if token in ids]
        index = np.arange(length)
        position = np.where(index < context, index, ids.index(masks[0]) if masks else index)
        return hidden, np.stack([position, np.maximum(index - context + 1, 0)])


def _stripping(token: str | AddedToken) -> AddedToken:
    """A special token that strips the blanks around it, as special tokens did in 2023."""
    return AddedToken(str(token), lstrip=True, rstrip=True, special=True, normalized=False)


def _piece_bytes(pieces: sentencepiece.SentencePieceProcessor, number: int) -> bytes:
    piece = pieces.id_to_piece(number)
    if pieces.is_byte(number):
        return bytes([int(piece[3:5], 16)])
    text = piece.replace("\u2581", " ").replace("<n>", "\n").replace("<|tab|>", "\t")
    return _WRITTEN_BLANKS.sub(lambda written: " " * int(written[1]), text).encode()


def _write_blanks(text: str) -> str:
    text = text.replace("\n", "<n>").replace("\t", "<|tab|>")
    return _BLANKS.sub(lambda run: f"<|blank_{len(run[0])}|>", text)


def process_response(text: str) -> str:
    """The released chat code's clean-up of an answer: fill in the year, full-width punctuation next to Chinese."""
    text = text.strip().replace("[[训练时间]]", "2023年")
    for half, full in zip(",!:;?", "\uff0c\uff01\uff1a\uff1b\uff1f", strict=True):
        mark = re.escape(half)
        text = re.sub(rf"([\u4e00-\u9fff]){mark}", rf"\1{full}", text)
        text = re.sub(rf"{mark}([\u4e00-\u9fff])", rf"{full}\1", text)
    return text
