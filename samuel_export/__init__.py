"""Export a checkpoint to a bundle, and check that both compute the same."""
