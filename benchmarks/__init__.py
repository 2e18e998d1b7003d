"""Speed, always as a pair: the runtime beside PyTorch, in one process, on the same inputs, with agreement asserted."""
