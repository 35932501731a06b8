"""Constrained decoding: at every step only tokens can be chosen that keep the answer within a grammar.

    Sampling(grammar=json_grammar({"type": "object", "properties": {"degrees": {"type": "integer"}}}))

The answer then always parses, also of a model that never saw JSON or tools in training. llguidance compiles JSON
schemas, regular expressions and Lark grammars and says which tokens may come next (its syntax:
https://github.com/guidance-ai/llguidance, docs/syntax.md); both engines set the logits of all others to minus infinity.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

from base_models.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WRITTEN: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""One way to write an object, that of ``json.dumps``: a small model could go on with blanks until its last token."""


def json_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of a JSON schema; raises :class:`ModelError` for a schema that cannot be enforced."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=WRITTEN)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the JSON schema cannot be read: {error}; send a flatter one.") from None
    return _checked(grammar, f"the JSON schema {json.dumps(schema, ensure_ascii=False)[:200]}")


def regex_grammar(pattern: str) -> str:
    """The grammar of a regular expression, which the whole answer matches."""
    return _checked(LLMatcher.grammar_from_regex(pattern), f"the regular expression {pattern[:200]!r}")


def lark_grammar(rules: str) -> str:
    """A Lark grammar in llguidance's syntax: its rule ``start``, with ``%json {...}`` for a JSON schema inside."""
    return _checked(LLMatcher.grammar_from_lark(rules), f"the grammar {rules[:200]!r}")


def json_rule(schema: Mapping[str, Any]) -> str:
    """A JSON schema as part of a Lark grammar."""
    return f"%json {json.dumps({**schema, 'x-guidance': WRITTEN})}"


def literal(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """A text as part of a Lark grammar; what is a token of its own in this tokenizer is named by its number."""
    added = tokenizer.get_added_vocab()
    parts = re.split("(" + "|".join(map(re.escape, added)) + ")", text) if added else [text]
    return " ".join(f"<[{added[part]}]>" if part in added else json.dumps(part) for part in parts if part) or '""'


def _checked(grammar: str, what: str) -> str:
    if reason := LLMatcher.validate_grammar(grammar):
        raise ModelError(f"{what} cannot be enforced: {reason.splitlines()[0]}")
    return grammar


class Constraint:
    """A grammar while one answer is decoded."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", grammar: str) -> None:
        self._matcher = _compiled(tokenizer, grammar).deep_copy()
        self._end, self._ended = tokenizer.eos_token_id, False
        self._first = None if tokenizer.is_fast else _first_tokens(tokenizer)

    def allowed(self, size: int) -> np.ndarray:
        """Which of ``size`` tokens may come next, booleans [size]; after the end token, all of them."""
        allowed = np.full(size, self._ended)  # an embedding has a few more rows than the tokenizer has tokens
        if self._matcher.is_stopped():  # nothing can follow
            allowed[self._end] = True
        else:
            bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
            allowed[: len(bits)] = bits[:size]
        if self._first is not None:
            allowed[: len(self._first)] = allowed[self._first]
        return allowed

    def add(self, token: int) -> None:
        """Continue after this token."""
        self._ended |= token == self._end
        if self._first is not None:
            token, self._first = int(self._first[token]), None
        if not self._matcher.is_stopped() and not self._matcher.consume_token(token):
            raise ModelError(f"decoding within the grammar failed: {self._matcher.get_error().splitlines()[0]}")


@lru_cache(maxsize=64)
def _compiled(tokenizer: "PreTrainedTokenizerBase", grammar: str) -> LLMatcher:
    matcher = LLMatcher(_vocabulary(tokenizer), grammar)
    if reason := matcher.get_error():
        raise ModelError(f"the grammar cannot be enforced: {reason.splitlines()[0]}")
    return matcher


@lru_cache(maxsize=4)  # a second or two for 150,000 tokens
def _vocabulary(tokenizer: Any) -> LLTokenizer:
    if tokenizer.is_fast:
        return from_tokenizer(tokenizer)
    if not hasattr(tokenizer, "token_bytes"):
        raise ModelError(
            f"{tokenizer.name_or_path} has a tokenizer written in Python, whose tokens have no known bytes."
        )
    return LLTokenizer(cast(Any, _Bytes(tokenizer)))


@lru_cache(maxsize=4)
def _first_tokens(tokenizer: Any) -> np.ndarray:
    """For each token the one that it stands for at the start of a text, where SentencePiece writes a blank before it:
    a model begins its answer with "▁{" and means "{"."""
    known = tokenizer.token_bytes()
    number_of = {text: number for number, text in enumerate(known) if text}
    return np.array(
        [number_of.get(text[1:], number) if text[:1] == b" " else number for number, text in enumerate(known)]
    )


class _Bytes:
    """The tokenizer of ChatGLM-6B, which is no fast one, as llguidance reads it."""

    is_tokenizer_wrapper = True

    def __init__(self, tokenizer: Any) -> None:
        self.eos_token_id, self.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
        self.tokens = tokenizer.token_bytes()
        self.special_token_ids = tokenizer.all_special_ids
        self._number_of = {text: number for number, text in enumerate(self.tokens) if text}
        self._longest = max(map(len, self.tokens))

    def __call__(self, forced: str) -> list[int]:
        """The longest token at every place: text that a grammar forces, where SentencePiece would change blanks."""
        text, ids, at = forced.encode(), [], 0
        while at < len(text):
            parts = (text[at : at + length] for length in range(self._longest, 0, -1))
            part = next((part for part in parts if part in self._number_of), text[at : at + 1])
            ids += [self._number_of[part]] if part in self._number_of else []
            at += len(part)
        return ids
