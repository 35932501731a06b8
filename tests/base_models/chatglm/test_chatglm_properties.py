"""What must hold for any ids, padding and division of the work, on models of many shapes with random weights."""

import functools
from dataclasses import dataclass

import pytest
import torch
from chatglm_samples import small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, StaticCache

from base_models import ModelError
from base_models.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration

VOCABULARY, MASK, GMASK, SOP, EOP, PAD = 64, 60, 61, 62, 63, 3


@functools.cache
def random_model(heads: int, head_dim: int, layers: int, prefix: int = 0) -> ChatGLMForConditionalGeneration:
    torch.manual_seed(heads + head_dim + layers)
    config = ChatGLMConfig(
        vocab_size=VOCABULARY,
        hidden_size=heads * head_dim,
        inner_hidden_size=3 * heads * head_dim,
        num_attention_heads=heads,
        num_layers=layers,
        mask_token_id=MASK,
        gmask_token_id=GMASK,
        bos_token_id=SOP,
        eos_token_id=EOP,
        pad_token_id=PAD,
        pre_seq_len=prefix or None,
        initializer_range=0.3,
    )
    return ChatGLMForConditionalGeneration(config).eval()


models = st.builds(random_model, st.sampled_from([1, 2, 3]), st.sampled_from([8, 16]), st.integers(1, 3))
ordinary = st.integers(4, MASK - 1)


@st.composite
def rows(draw) -> list[int]:
    """A prompt, its mask token (anywhere in it), <sop>, and the beginning of an answer."""
    prompt = draw(st.lists(ordinary, max_size=8))
    prompt.insert(draw(st.integers(0, len(prompt))), draw(st.sampled_from([MASK, GMASK])))
    return [*prompt, SOP, *draw(st.lists(ordinary, max_size=6))]


@dataclass
class Batch:
    rows: list[list[int]]
    ids: torch.Tensor
    mask: torch.Tensor

    def real(self, row: int, states: torch.Tensor) -> torch.Tensor:
        """What belongs to the tokens of one row, without its padding."""
        return states[row][self.mask[row].bool()]


@st.composite
def batches(draw) -> Batch:
    members = draw(st.lists(rows(), min_size=1, max_size=3))
    left = draw(st.booleans())
    longest = max(map(len, members)) + draw(st.integers(0, 2))
    padding = [longest - len(row) for row in members]
    ids, mask = [], []
    for row, missing in zip(members, padding, strict=True):
        ids.append([PAD] * missing + row if left else row + [PAD] * missing)
        mask.append([0] * missing + [1] * len(row) if left else [1] * len(row) + [0] * missing)
    return Batch(members, torch.tensor(ids), torch.tensor(mask))


def hiding(mask: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The released 4-D mask of a padded batch: True where a token may not look."""
    length = ids.shape[1]
    hidden = torch.ones(length, length).triu(1).bool().repeat(len(ids), 1, 1)
    for row, numbers in enumerate(ids.tolist()):
        hidden[row, :, : numbers.index(SOP)] = False
    hidden |= ~mask[:, None].bool() | ~mask[:, :, None].bool()
    return hidden[:, None]


@given(models, batches(), st.sampled_from(["0/1", "4-D", "none"]))
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_a_row_is_the_same_alone_and_in_a_padded_batch(model, batch, kind):
    mask = {"0/1": batch.mask, "4-D": hiding(batch.mask, batch.ids), "none": None}[kind]
    together = model(input_ids=batch.ids, attention_mask=mask).logits
    for number, row in enumerate(batch.rows):
        alone = model(input_ids=torch.tensor([row])).logits[0]
        torch.testing.assert_close(batch.real(number, together), alone, rtol=1e-3, atol=1e-4)


@given(models, batches(), st.data())
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_prefill_and_decoding_in_any_pieces_equal_one_forward(model, batch, data):
    whole = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    length = batch.ids.shape[1]
    prompt = max(row.index(SOP) for row in batch.ids.tolist()) + 1
    cuts = sorted(data.draw(st.sets(st.integers(prompt, length - 1)), "cuts") if prompt < length else [])
    kind, told = data.draw(st.sampled_from(["dynamic", "static"])), data.draw(st.booleans(), "mask told each time")
    cache = DynamicCache() if kind == "dynamic" else StaticCache(config=model.config, max_cache_len=length + 3)
    pieces = []
    for start, stop in zip([0, *cuts], [*cuts, length], strict=True):
        mask = batch.mask[:, :stop] if told or start == 0 or not batch.mask[:, start:stop].all() else None
        pieces.append(
            model(input_ids=batch.ids[:, start:stop], attention_mask=mask, past_key_values=cache, use_cache=True).logits
        )
    divided = torch.cat(pieces, 1)
    for number in range(len(batch.rows)):
        torch.testing.assert_close(batch.real(number, divided), batch.real(number, whole), rtol=1e-3, atol=1e-4)


@given(models, st.lists(rows(), min_size=2, max_size=4))
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_packed_in_one_row_equals_separate(model, members):
    """Several examples in one row, each hidden from the others by the 4-D mask and with positions of its own."""
    hidden = torch.ones(1, 1, sum(map(len, members)), sum(map(len, members)), dtype=torch.bool)
    positions, separate, start = [], [], 0
    for row in members:
        ids = torch.tensor([row])
        stop = start + len(row)
        hidden[..., start:stop, start:stop] = hiding(torch.ones_like(ids), ids)
        positions.append(model._prepare_position_ids_for_generation(ids, {}))
        separate.append(model(input_ids=ids).logits[0])
        start = stop
    packed = model(
        input_ids=torch.tensor([[number for row in members for number in row]]),
        attention_mask=hidden,
        position_ids=torch.cat(positions, -1),
    ).logits[0]
    torch.testing.assert_close(packed, torch.cat(separate), rtol=1e-3, atol=1e-4)


@given(models, rows().filter(lambda row: len(row) > 2), st.data())
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_a_prediction_reads_its_whole_prompt_and_nothing_that_follows_it(model, row, data):
    sop = row.index(SOP)
    place = data.draw(st.sampled_from([place for place, number in enumerate(row) if number < MASK]), "place")
    changed = [*row]
    changed[place] = 4 + (row[place] - 3) % (MASK - 4)
    before, after = (model(input_ids=torch.tensor([ids])).logits[0] for ids in (row, changed))
    differs = (before - after).abs().amax(-1) > 1e-6
    if place > sop:
        assert not differs[:place].any(), "not even the prediction of the changed token itself"
    assert differs[place:].any()
    if place < sop:
        assert differs[:sop].all(), "every token of the prompt reads the changed one"


@given(models, batches())
@settings(deadline=None, max_examples=25)
@torch.no_grad()
def test_the_last_logits_alone_are_those_of_the_whole(model, batch):
    whole = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    last = model(input_ids=batch.ids, attention_mask=batch.mask, logits_to_keep=1).logits
    torch.testing.assert_close(last, whole[:, -1:], rtol=1e-4, atol=1e-5)


@given(models, st.lists(rows(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=25)
@torch.no_grad()
def test_answers_in_a_batch_equal_those_one_by_one(model, members):
    longest = max(map(len, members))
    ids = torch.tensor([[PAD] * (longest - len(row)) + row for row in members])
    mask = (torch.arange(longest)[None] >= torch.tensor([[longest - len(row)] for row in members])).long()
    how = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": PAD, "eos_token_id": EOP}
    together = model.generate(input_ids=ids, attention_mask=mask, **how)[:, longest:]
    for number, row in enumerate(members):
        alone = model.generate(input_ids=torch.tensor([row]), **how)[0, len(row) :]
        assert together[number, : len(alone)].tolist() == alone.tolist()
        assert (together[number, len(alone) :] == PAD).all()


@pytest.mark.parametrize("cache", [None, "static"])
def test_beams_sampling_and_streams(cache):
    model = small_model()
    prompt = torch.tensor([[7, 8, 9, model.config.gmask_token_id, model.config.bos_token_id]])
    how = {"max_new_tokens": 8, "pad_token_id": PAD, "cache_implementation": cache}
    beams = model.generate(input_ids=prompt, num_beams=3, num_return_sequences=2, do_sample=False, **how)
    again = model.generate(input_ids=prompt, num_beams=3, do_sample=False, use_cache=False, max_new_tokens=8)
    assert beams[0].tolist() == again[0].tolist()
    torch.manual_seed(1)
    sampled = model.generate(input_ids=prompt, do_sample=True, top_p=0.7, temperature=0.95, **how)
    torch.manual_seed(1)
    uncached = model.generate(
        input_ids=prompt, do_sample=True, top_p=0.7, temperature=0.95, use_cache=False, max_new_tokens=8
    )
    assert sampled.tolist() == uncached.tolist()


def test_what_a_row_lacks_is_said():
    model = random_model(2, 8, 1)
    with pytest.raises(ModelError, match=r"row 1 of the batch has no <sop> \(id 62\)"):
        model(input_ids=torch.tensor([[5, GMASK, SOP], [5, GMASK, 6]]))
    with pytest.raises(ModelError, match=r"row 0 of the batch has no \[gMASK\] \(id 61\) or \[MASK\]"):
        model(input_ids=torch.tensor([[5, 6, SOP]]))
    with pytest.raises(ModelError, match=r"position_ids has shape \[1, 3\]"):
        model(input_ids=torch.tensor([[5, GMASK, SOP]]), position_ids=torch.tensor([[0, 1, 2]]))
    with pytest.raises(ModelError, match=r"attention_mask has shape \[1, 2\]"):
        model(input_ids=torch.tensor([[5, GMASK, SOP]]), attention_mask=torch.tensor([[0, 1]]))
    with pytest.raises(ModelError, match="exactly one of input_ids and inputs_embeds"):
        model()


def test_a_prompt_cannot_be_split():
    model = random_model(2, 8, 1)
    ids = torch.tensor([[5, 6, 7, GMASK, SOP, 8]])
    with pytest.raises(ModelError, match="the whole prompt in one call"):
        model.generate(input_ids=ids, max_new_tokens=2, prefill_chunk_size=2, do_sample=False)
