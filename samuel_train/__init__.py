"""Training: from stems to a checkpoint, in PyTorch."""
