"""TensorRT engines from a bundle's own graphs: built, proven and added."""
