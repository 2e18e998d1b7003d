"""One interface over the backends that run a graph."""
