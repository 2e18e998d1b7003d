"""The libraries that run a graph, behind one interface: ONNX Runtime, OpenVINO and TensorRT.

backend.py is the interface, availability.py says what can run here, loading.py opens a bundle's graphs.
"""

from samuel_runtime.engines.backend import Backend, Bound, Engine

__all__ = ["Backend", "Bound", "Engine"]
