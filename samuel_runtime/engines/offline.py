"""The engines' libraries, imported so that they report to nobody.

ONNX Runtime's Linux wheels (1.29 and later) write a device id and a data base of events to the user's cache folder and
send them to Microsoft; OpenVINO writes a client id to the home folder and reports that it was imported to Google
Analytics. Both begin with the import, so both are told before it.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

_OPENVINO_TELEMETRY = "openvino_telemetry"


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, without its telemetry and without its own lines on stderr.

    Raises:
        ImportError: it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    ours = "onnxruntime" not in sys.modules
    onnxruntime = importlib.import_module("onnxruntime")
    onnxruntime.disable_telemetry_events()  # on Windows, and where another imported it before
    if ours:  # else how it logs is that other's choice
        onnxruntime.set_default_logger_severity(ORT_SILENT)
    return onnxruntime


ORT_SILENT = 4
"""ONNX Runtime's severity that logs what is fatal alone: all else it raises as well, and that becomes our message."""


def import_openvino(module: str = "openvino") -> ModuleType:
    """OpenVINO, or a module of it, without its telemetry, which it has no other switch for.

    Raises:
        ImportError: it is not installed.
    """
    if "openvino" in sys.modules:
        return importlib.import_module(module)
    # A name that stands for no module: OpenVINO then takes its own stand-in, which does nothing.
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(_OPENVINO_TELEMETRY)}
    sys.modules[_OPENVINO_TELEMETRY] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(module)
    finally:
        del sys.modules[_OPENVINO_TELEMETRY]
        sys.modules.update(kept)
