"""Build TensorRT engines from a bundle's graphs, check the graphs and add the engines to the bundle."""
