"""Importing OpenVINO without its telemetry.

``import openvino`` reports to Google Analytics through the package openvino-telemetry, without asking, unless a file in
the home folder forbids it. OpenVINO runs without that package, so here it cannot be imported.
"""

import sys
from types import ModuleType
from typing import Any, cast

from base_models.errors import ModelError


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
