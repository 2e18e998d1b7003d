"""The runtime: a bundle and a voice in, a band out; numpy and ONNX Runtime, never torch."""
