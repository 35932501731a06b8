"""The settings of classifiers: a subset of a language model's, and how they are recorded."""

import pytest
from pydantic import ValidationError

from domain import ClassifierConfig, FinetuneConfig
from domain.finetune_settings import MethodSettings, TrainingConfig


def test_a_classifier_is_recorded_with_the_keys_of_a_language_models_run() -> None:
    """Older manifests and checkpoints have them, and are compared with this."""
    recorded = ClassifierConfig(seed=7).recorded()
    assert set(recorded) == set(FinetuneConfig.model_fields)
    assert (recorded["seed"], recorded["method"], recorded["replay_share"], recorded["data"]) == (7, "lora", 0, ())
    assert FinetuneConfig(seed=7).recorded() == FinetuneConfig(seed=7).model_dump()


@pytest.mark.parametrize("key", sorted(set(FinetuneConfig.model_fields) - set(TrainingConfig.model_fields)))
def test_what_only_a_language_model_has_is_unknown_to_a_classifier(key: str) -> None:
    default = FinetuneConfig.model_fields[key].default
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        ClassifierConfig(**{key: default})


def test_the_method_comes_first_in_help_and_in_domain_toml() -> None:
    names = list(FinetuneConfig.model_fields)
    assert names[: len(MethodSettings.model_fields)] == list(MethodSettings.model_fields)
    assert names[0] == "method"
