"""Parity checks: the same seeded cases in PyTorch and in the bundle, compared within limits."""
