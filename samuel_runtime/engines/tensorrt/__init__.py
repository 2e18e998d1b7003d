"""TensorRT without ONNX Runtime: a bundle's own engines, and a window's whole sampling as one CUDA graph."""
