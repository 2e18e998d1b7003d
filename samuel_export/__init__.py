"""Export: from a checkpoint to a bundle that is proven equal to it."""
