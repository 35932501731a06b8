# Two commands are enough: `make run` (from an empty clone to an open page) and `make test`.
# TORCH_INDEX_URL may name an extra package index for CPU-only torch wheels; README.md says where they come from.

SHELL = /bin/bash
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
SAMPLE = demo/peft-handbook
PEER = .venv-peer
DEBIAN = demo/debian
DOC = $(DEBIAN)/usr/share/doc
BOOKS = $(DEBIAN)/usr/share/debian-reference $(DOC)/debian/FAQ \
	$(DOC)/installation-guide-amd64/en $(DOC)/installation-guide-amd64/zh_CN \
	$(DOC)/debian-handbook/html/en-US $(DOC)/debian-handbook/html/zh-CN
TORCH_INDEX = $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))

.PHONY: run demo install test test-slow fuzz lint bench clean models

# The whole path. Every step looks first whether it is finished, so that the second time takes seconds.
run: demo
	$(BIN)/lorewright ui $(SAMPLE)

demo: $(VENV)/product $(SAMPLE)/domain.toml
	$(BIN)/lorewright pull
	$(BIN)/lorewright index $(SAMPLE)
	$(BIN)/lorewright finetune $(SAMPLE)
	$(BIN)/lorewright evaluate $(SAMPLE) --questions 8

$(SAMPLE)/domain.toml:
	mkdir -p demo
	cp -R examples/peft-handbook demo/

# `make demo` installs what answering and tuning need; `make install` also OCR, quantisation, tests and linters.
# torch first: otherwise other packages' requirements may pull a build for CUDA of several GB.
install: $(VENV)/installed
$(VENV)/product: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(TORCH_INDEX) "$$(grep '^pip==' constraints.txt)"
	$(BIN)/python -m pip install -q $(TORCH_INDEX) "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install -q $(TORCH_INDEX) -c constraints.txt -e '.[openvino]'
	touch $@
$(VENV)/installed: $(VENV)/product
	$(BIN)/python -m pip install -q $(TORCH_INDEX) -c constraints.txt -e '.[openvino,ocr,quantization,test]'
	touch $@

models: install
	$(BIN)/lorewright pull smollm2-135m-instruct all-minilm-l6-v2 multilingual-e5-small qwen2.5-coder-0.5b-instruct

# Models are fetched before the tests; the tests themselves may open no connection but to this machine.
# Two processes share the tests (`make test TEST_PROCESSES=0`: one); each takes up to 5 GB.
TEST_PROCESSES ?= 2
test: models lint
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --durations 10

test-slow: models $(PEER)/installed
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow

# Damaged documents by the thousand: a reader must end with a text or a sentence (16 readers, a minute each).
FUZZ_SECONDS ?= 60
fuzz: install
	$(BIN)/python tests/fuzz_readers.py --seconds $(FUZZ_SECONDS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# benchmarks/methods.py (over an hour), engine_parity.py, chatglm_full_size.py, chatglm_peer.py and refusal_defaults.py are
# run by hand.
# The peers are LangChain's own pipeline in an environment of its own, and documents that Debian packages (apt).
bench: models $(SAMPLE)/domain.toml $(PEER)/installed $(DEBIAN)/downloaded
	HF_HUB_OFFLINE=1 $(BIN)/lorewright index $(SAMPLE)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/retrieval.py measure $(SAMPLE) --out benchmarks/results/retrieval.json
	rm -rf demo/faq-en demo/faq-zh
	for language in en zh; do HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/retrieval.py debian-faq \
	    $(DOC)/debian/FAQ demo/faq-$$language --language $$language --asked $$language; done
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/retrieval_peer.py $(SAMPLE) demo/faq-en demo/faq-zh --peer-python $(PEER)/bin/python
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/ranking_trials.py $(SAMPLE) demo/faq-en demo/faq-zh
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/indexing.py $(DOC) demo/indexing --peer-python $(PEER)/bin/python
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/index_scale.py demo/index_scale $(BOOKS)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/engines.py --peer-python $(PEER)/bin/python
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/ocr.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/training.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/chatglm.py

$(PEER)/installed:
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install -q $(TORCH_INDEX) "$$(grep '^torch==' constraints.txt)"
	$(PEER)/bin/python -m pip install -q $(TORCH_INDEX) -c constraints.txt langchain-community==0.4.2 \
	    langchain-huggingface==1.2.3 langchain-text-splitters==1.1.3 sentence-transformers faiss-cpu \
	    xllamacpp==2026.10.11549
	touch $@

$(DEBIAN)/downloaded:
	mkdir -p $(DEBIAN)
	cd $(DEBIAN) && apt-get download debian-faq debian-faq-zh-cn debian-reference-en debian-reference-zh-cn \
	    debian-handbook installation-guide-amd64
	cd $(DEBIAN) && for package in *.deb; do dpkg-deb -x $$package .; done
	touch $@

# The model cache is shared by all clones and stays (`lorewright doctor` tells where it is); demo/ stays too, for it
# holds an adapter and conversations.
clean:
	rm -rf $(VENV) $(PEER) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
