"""OpenVINO: importing it without its telemetry, tracing a graph, and compiling one for this processor once.

``import openvino`` reports to Google Analytics through the package openvino-telemetry, without asking, unless a file in
the home folder forbids it. OpenVINO runs without that package, so here it cannot be imported.
"""

import hashlib
import io
import json
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from base_models.engines.choices import processor
from base_models.errors import ModelError
from domain import whole_file

if TYPE_CHECKING:
    import torch


def import_openvino() -> Any:
    """The module ``openvino``; a :class:`ModelError` that says how to install it where it is missing."""
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))  # its import now raises ImportError
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            f'The engine "openvino" needs OpenVINO ({error}); pip install "lorewright[openvino]".'
        ) from None
    return openvino


def trace(module: "torch.nn.Module", example: tuple["torch.Tensor", ...]) -> Any:
    """The OpenVINO graph of a torch module, traced with example arguments; its inputs come in their order."""
    import torch
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # the tracer reads every attribute, also those that warn
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer, one for each branch in the model's code
            traced: Any = torch.jit.trace(module, example, strict=False, check_trace=False)
            graph = import_openvino().convert_model(traced)
    finally:
        logging.set_verbosity(verbosity)
    _bound_integers(graph)
    return graph


def compiled(folder: Path, **options: str) -> Any:
    """The graph ``folder``/openvino_model.xml, compiled for this processor.

    That takes seconds, so what comes of it is kept beside the graph, without the weights, by processor, version and
    options; reading it again takes a sixth of the time. What is used is always what was read.
    """
    ov = import_openvino()
    options |= {"PERFORMANCE_HINT": "LATENCY", "CACHE_MODE": "OPTIMIZE_SIZE"}
    if threads := os.environ.get("OMP_NUM_THREADS"):
        options["INFERENCE_NUM_THREADS"] = threads
    graph = folder / "openvino_model.xml"
    made_from = json.dumps([ov.__version__, processor(), os.cpu_count(), options])
    kept = folder / f"compiled-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.blob"
    core = ov.Core()
    weights = {"WEIGHTS_PATH": str(graph.with_suffix(".bin"))}
    with suppress(OSError, RuntimeError):  # there is none yet, or it is damaged
        return core.import_model(io.BytesIO(kept.read_bytes()), "CPU", options | weights)
    made = core.compile_model(graph, "CPU", options)
    blob = made.export_model().getvalue()
    with suppress(OSError), whole_file(kept) as partial:  # a full disk, or a cache that may only be read
        partial.write_bytes(blob)
    del made
    return core.import_model(io.BytesIO(blob), "CPU", options | weights)


def _bound_integers(graph: Any) -> None:
    """Bring whole numbers beyond 32 bits, such as the end of a slice without one, to the largest of 32.

    The CPU plugin computes in 32 bits; OpenVINO 2026.4 reads them back as -1 from what was compiled before.
    """
    from openvino import opset13 as ops

    for node in graph.get_ops():
        if node.get_type_name() == "Constant" and node.get_element_type() == import_openvino().Type.i64:
            bounded = np.clip(node.data, -(2**31), 2**31 - 1)
            if (bounded != node.data).any():
                node.output(0).replace(ops.constant(bounded).output(0))
