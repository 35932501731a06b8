"""OpenVINO: import without telemetry, trace a graph, compile a graph once for this processor.

``import openvino`` reports to Google Analytics through the package openvino-telemetry, unless a file in the home folder
disables it. OpenVINO also runs without that package, so its import is blocked.
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

from base_models.errors import ModelError
from base_models.processor import processor, threads
from domain import whole_file

if TYPE_CHECKING:
    import torch


def import_openvino() -> Any:
    """The module ``openvino``; raises :class:`ModelError` with the command to install it if it is missing."""
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))  # its import now raises ImportError
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            f'The engine "openvino" needs OpenVINO ({error}); run: pip install "lorewright[openvino]"'
        ) from None
    return openvino


def trace(module: "torch.nn.Module", example: tuple["torch.Tensor", ...]) -> Any:
    """The OpenVINO graph of a torch module, traced with example arguments; its inputs come in their order."""
    import torch
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # the tracer reads every attribute, also deprecated ones
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer warns at each branch in the model's code
            traced: Any = torch.jit.trace(module, example, strict=False, check_trace=False)
            graph = import_openvino().convert_model(traced)
    finally:
        logging.set_verbosity(verbosity)
    _bound_integers(graph)
    return graph


def compiled(folder: Path, **options: str) -> Any:
    """The graph ``folder``/openvino_model.xml, compiled for this processor.

    Compiling takes seconds, so the compiled graph without the weights is cached beside it, by processor, version and
    options; importing it takes a sixth of the time. The first call imports it too, so every call runs the same graph.
    """
    ov = import_openvino()
    options |= {"PERFORMANCE_HINT": "LATENCY", "CACHE_MODE": "OPTIMIZE_SIZE"}
    if number := threads():
        options["INFERENCE_NUM_THREADS"] = str(number)
    graph = folder / "openvino_model.xml"
    cache_key = json.dumps([ov.__version__, processor(), os.cpu_count(), options])
    cached = folder / f"compiled-{hashlib.sha256(cache_key.encode()).hexdigest()[:16]}.blob"
    core = ov.Core()
    weights = {"WEIGHTS_PATH": str(graph.with_suffix(".bin"))}
    with suppress(OSError, RuntimeError):  # not cached yet, or damaged
        return core.import_model(io.BytesIO(cached.read_bytes()), "CPU", options | weights)
    fresh = core.compile_model(graph, "CPU", options)
    blob = fresh.export_model().getvalue()
    with suppress(OSError), whole_file(cached) as partial:  # a full disk or a read-only cache
        partial.write_bytes(blob)
    del fresh
    return core.import_model(io.BytesIO(blob), "CPU", options | weights)


def _bound_integers(graph: Any) -> None:
    """Clamp integer constants to 32 bits, such as the open end of a slice.

    The CPU plugin computes in 32 bits, and OpenVINO 2026.4 reads larger ones as -1 from a cached compiled graph.
    """
    from openvino import opset13 as ops

    for node in graph.get_ops():
        if node.get_type_name() == "Constant" and node.get_element_type() == import_openvino().Type.i64:
            bounded = np.clip(node.data, -(2**31), 2**31 - 1)
            if (bounded != node.data).any():
                node.output(0).replace(ops.constant(bounded).output(0))
