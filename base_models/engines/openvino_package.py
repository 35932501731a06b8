"""Importing OpenVINO without its telemetry.

``import openvino`` reports to Google Analytics through the package openvino-telemetry, without asking, unless a file in
the home folder forbids it. OpenVINO runs without that package, so here it cannot be imported.
"""

import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from base_models.errors import ModelError

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
            return import_openvino().convert_model(traced)
    finally:
        logging.set_verbosity(verbosity)
