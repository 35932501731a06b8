"""The engine OpenVINO beside transformers: the same model, adapters and answers; many at once; one that stops."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_answers import write_adapter, write_parrot
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from base_models import ModelError, Sampling, generate, load, load_openvino, stream
from base_models.engines import openvino
from base_models.engines.openvino import OpenVinoModel
from base_models.engines.openvino_lora import unsupported
from base_models.engines.sampling import choose
from base_models.loaded_model import LoadedModel

PROMPTS = [list(range(5, 5 + length)) for length in (3, 40, 17, 90)]
TWELVE = Sampling(max_new_tokens=12)


def logits_of(loaded: LoadedModel, ids: list[int], adapter: Path | None = None) -> np.ndarray:
    with loaded.using(adapter) as model, torch.inference_mode():
        return model(torch.tensor([ids])).logits[0, -1].numpy()


def forget(fast: OpenVinoModel) -> None:
    """Clear the kept prefixes, once the thread that adds to them has ended."""
    while fast._worker is not None:
        time.sleep(0.01)
    fast._prefixes.clear()


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_architecture_computes_what_transformers_does(
    kind: str, tied: bool, tiny_folder: Path, tmp_path: Path
) -> None:
    """Random weights of each type; with grouped heads, and biases where the type has them."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=tied,
        sliding_window=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    fast, loaded = load_openvino(tmp_path), load(tmp_path, dtype="float32")
    for prompt in PROMPTS:
        assert cosine(fast.next_logits(prompt), logits_of(loaded, prompt)) > 0.999


def test_the_real_model_answers_as_in_transformers(smollm2: LoadedModel) -> None:
    fast = load_openvino("smollm2-135m-instruct")
    asked = [[{"role": "user", "content": "What is the capital of France?"}]]
    answer = generate(fast, asked, Sampling(max_new_tokens=30))
    assert answer == generate(smollm2, asked, Sampling(max_new_tokens=30))
    assert answer[0].text == "The capital of France is Paris."
    *pieces, last = stream(fast, asked[0], Sampling(max_new_tokens=30))
    assert ["".join(map(str, pieces)), last] == [answer[0].text, answer[0]]


def test_streamed_pieces_never_hold_half_a_character(tiny_folder: Path, tmp_path: Path) -> None:
    text = "龙井茶😀很好喝。 Taste (it) now!"
    write_parrot(tmp_path, AutoTokenizer.from_pretrained(tiny_folder), text)
    *pieces, last = stream(load_openvino(tmp_path), [{"role": "user", "content": "?"}], Sampling(max_new_tokens=60))
    assert "".join(map(str, pieces)) == text == last.text  # type: ignore[union-attr]
    assert not any("\ufffd" in str(piece) for piece in pieces)


def test_many_at_once_with_several_adapters_answer_as_each_alone(
    fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path
) -> None:
    adapters = [None, *(write_adapter(tmp_path / str(seed), tiny, seed, size=1.0) for seed in (1, 2))]
    asked = [(which, number) for which in range(3) for number in range(len(PROMPTS))]
    alone = {(w, n): fast.generate_ids([PROMPTS[n]], TWELVE, adapters[w])[0] for w, n in asked}
    assert len({tuple(alone[which, 1]) for which in range(3)}) == 3
    forget(fast)
    together = {}

    def ask(which: int, number: int) -> None:
        answer = fast.stream_ids(PROMPTS[number], TWELVE, adapters[which])
        together[which, number] = [token.id for token in answer]

    threads = [threading.Thread(target=ask, args=key) for key in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert fast.generate_ids(PROMPTS * 3, TWELVE, adapters[1]) == [alone[1, n] for n in range(len(PROMPTS))] * 3


def test_an_adapter_shifts_the_logits_as_in_transformers(
    fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "a", tiny, seed=1)
    prompt = PROMPTS[1]
    expected = logits_of(tiny, prompt, adapter) - logits_of(tiny, prompt)
    assert cosine(fast.next_logits(prompt, adapter) - fast.next_logits(prompt), expected) > 0.98


@pytest.mark.parametrize("changes", [{"use_rslora": True}, {"alpha_pattern": {"q_proj": 40}}, {"lora_alpha": 3}])
def test_an_adapter_is_scaled_as_peft_does(
    changes: dict[str, object], fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "a", tiny, seed=1)
    rewrite(adapter, **changes)
    expected = logits_of(tiny, PROMPTS[1], adapter) - logits_of(tiny, PROMPTS[1])
    shift = fast.next_logits(PROMPTS[1], adapter) - fast.next_logits(PROMPTS[1])
    assert cosine(shift, expected) > 0.98
    assert np.linalg.norm(shift) == pytest.approx(np.linalg.norm(expected), rel=0.1)


def rewrite(adapter: Path, **changes: object) -> None:
    """Change adapter_config.json, and its hash in the manifest."""
    from base_models.adapter_manifest import file_hash

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8")) | changes
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    manifest = json.loads((adapter / "manifest.json").read_text(encoding="utf-8"))
    manifest["config_sha256"] = file_hash(adapter / "adapter_config.json")
    (adapter / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def with_probe(adapter: Path, tiny: LoadedModel) -> None:
    """Give an adapter the proof that a run leaves."""
    from base_models.probe import probe_facts, probe_logits

    with tiny.using(None) as model:
        base = probe_logits(model, tiny.tokenizer)
    with tiny.using(adapter) as model:
        facts = probe_facts(model, base, probe_logits(model, tiny.tokenizer))
    manifest = json.loads((adapter / "manifest.json").read_text(encoding="utf-8"))
    (adapter / "manifest.json").write_text(json.dumps(manifest | {"probe": facts}), encoding="utf-8")


def test_an_adapter_that_the_engine_ignores_is_refused(
    fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = write_adapter(tmp_path / "a", tiny, seed=1)
    with_probe(adapter, tiny)
    assert fast.generate_ids(PROMPTS[:1], TWELVE, adapter)
    fast._adapters.clear()
    monkeypatch.setattr(openvino, "lora_matrices", lambda folder, inputs: {})
    with pytest.raises(ModelError, match="adapter a has no effect on this model"):
        fast.generate_ids(PROMPTS[:1], TWELVE, adapter)


def test_an_adapter_of_other_layers_or_of_another_base_is_refused(
    fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "a", tiny, seed=1)
    tensors = load_file(adapter / "adapter_model.safetensors")
    name, tensor = next(iter(tensors.items()))
    save_file({name.replace("layers.0", "layers.7"): tensor}, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="missing or damaged"):
        fast.next_logits(PROMPTS[0], adapter)
    from base_models.adapter_manifest import seal_adapter

    facts = {"base_model": "x", "base_fingerprint": fast.fingerprint, "chat_format": fast.chat_format}
    seal_adapter(adapter, facts)
    with pytest.raises(ModelError, match=r"its tensor .*layers\.7.* fits no layer"):
        fast.next_logits(PROMPTS[0], adapter)
    seal_adapter(adapter, facts | {"base_fingerprint": "0" * 64})
    with pytest.raises(ModelError, match="not on the loaded model"):
        fast.next_logits(PROMPTS[0], adapter)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "trained copies of weights"),
        ({"bias": "all"}, "trained biases"),
        ({"peft_type": "IA3"}, "IA3 adapters"),
        ({"init_lora_weights": "pissa"}, "the initialisation pissa"),
    ],
)
def test_adapters_that_are_more_than_lora_are_named(
    changes: dict[str, object], what: str, tiny: LoadedModel, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "a", tiny)
    assert unsupported(adapter) == ""
    rewrite(adapter, **changes)
    assert what in unsupported(adapter)
    for text in ("", '{"peft_type":', "[]"):
        (adapter / "adapter_config.json").write_text(text, encoding="utf-8")
        with pytest.raises(ModelError, match=r"adapter_config\.json is missing or damaged; train the adapter again"):
            unsupported(adapter)


@pytest.mark.parametrize("layer", ["lm_head", "embed_tokens"])
def test_lora_on_the_head_or_the_embeddings_is_named(layer: str, tiny_folder: Path, tmp_path: Path) -> None:
    """So that transformers answers with it in place of an error."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["q_proj", layer], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), config).save_pretrained(str(tmp_path))
    assert unsupported(tmp_path) == f"tensors of {layer}"


def test_an_adapter_replaced_under_the_same_name_is_read_anew(
    fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path
) -> None:
    before = fast.next_logits(PROMPTS[0], write_adapter(tmp_path / "a", tiny, seed=1, size=1.0))
    after = fast.next_logits(PROMPTS[0], write_adapter(tmp_path / "a", tiny, seed=2, size=1.0))
    assert not np.allclose(before, after)


def test_the_next_turn_reads_only_what_is_new_and_answers_the_same(
    fast: OpenVinoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fast.generate_ids([PROMPTS[3]], TWELVE)[0]
    second = [*PROMPTS[3], *first, 9, 10, 11]
    read: list[int] = []
    original = fast._prefill_tokens
    monkeypatch.setattr(fast, "_prefill_tokens", lambda ids, past: read.append(len(ids)) or original(ids, past))
    kept = fast.generate_ids([second], TWELVE)
    assert sum(read) <= len(first) + 4
    forget(fast)
    read.clear()
    assert fast.generate_ids([second], TWELVE) == kept
    assert sum(read) == len(second)


def test_a_kept_prefix_of_another_adapter_is_not_used(fast: OpenVinoModel, tiny: LoadedModel, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a", tiny, seed=1, size=1.0)
    alone = fast.generate_ids([PROMPTS[3]], TWELVE, adapter)
    forget(fast)
    fast.generate_ids([PROMPTS[3]], TWELVE)
    assert fast.generate_ids([PROMPTS[3]], TWELVE, adapter) == alone


def test_a_long_prompt_in_chunks_is_the_same(fast: OpenVinoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fast.generate_ids([PROMPTS[3]], TWELVE)
    forget(fast)
    monkeypatch.setattr(openvino, "CHUNK", 16)
    assert fast.generate_ids([PROMPTS[3]], TWELVE) == whole


def test_closing_a_stream_frees_its_row(fast: OpenVinoModel) -> None:
    pieces = fast.stream_ids(PROMPTS[0], Sampling(max_new_tokens=100_000))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    for _ in range(200):
        if fast._worker is None:
            break
        time.sleep(0.05)
    assert not fast._rows
    assert fast._worker is None, "no thread is left where nothing is asked"


def test_a_cancelled_request_that_waits_is_never_computed(fast: OpenVinoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "MAX_ROWS", 1)
    running = fast.stream_ids(PROMPTS[0], Sampling(max_new_tokens=100_000))
    next(running)
    waiting = fast._submit(PROMPTS[1], TWELVE, None)
    waiting.cancelled = True
    running.close()  # type: ignore[attr-defined]
    assert waiting.tokens.get(timeout=60) is None
    assert not waiting.answer


@pytest.mark.parametrize("tokens_before_it", [0, 5])
def test_an_error_while_computing_reaches_all_who_wait_and_the_model_goes_on(
    tokens_before_it: int, fast: OpenVinoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fast.generate_ids(PROMPTS, TWELVE)
    chosen = 0

    def breaks(logits: np.ndarray, *_: object) -> int:
        nonlocal chosen
        chosen += 1
        if chosen > tokens_before_it:
            raise MemoryError("no memory is left")
        return int(logits.argmax())

    with monkeypatch.context() as broken:
        broken.setattr(openvino, "choose", breaks)
        requests = [fast._submit(prompt, TWELVE, None) for prompt in PROMPTS]
        for request in requests:
            with pytest.raises(MemoryError, match="no memory is left"):
                list(openvino._answer(request))
    forget(fast)
    assert fast.generate_ids(PROMPTS, TWELVE) == expected


def test_the_repetition_penalty_and_the_temperature_are_applied(fast: OpenVinoModel) -> None:
    logits = fast.next_logits(PROMPTS[1])
    first, second = np.argsort(-logits)[:2]
    assert choose(logits, [], Sampling()) == first
    assert choose(logits, [first], Sampling(repetition_penalty=float(logits[first] / logits[second]) + 0.01)) == second
    assert choose(logits, [second], Sampling(repetition_penalty=2.0)) == first
    drawn = {tuple(fast.generate_ids([PROMPTS[1]], Sampling(8, temperature=1.5))[0]) for _ in range(4)}
    assert len(drawn) > 1


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "1 / 0"])
def test_a_program_may_end_while_an_answer_is_written(ending: str, tiny_folder: Path) -> None:
    """The stream is held by a global, so that nothing closes it."""
    load_openvino(tiny_folder)
    program = (
        "from base_models import Sampling, load_openvino\n"
        f"model = load_openvino({str(tiny_folder)!r})\n"
        "tokens = model.stream_ids([5, 6, 7], Sampling(max_new_tokens=1_000_000))\n"
        f"next(tokens); print('one'); {ending}\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ended.stdout == "one\n"
    assert ended.returncode == {"": 0, "raise SystemExit(3)": 3, "1 / 0": 1}[ending]
    assert "terminate" not in ended.stderr
