"""The type of a graph's arithmetic, and how its weights are stored."""
