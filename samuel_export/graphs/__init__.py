"""Graphs written node by node: the denoiser in three, and the halves of each codec."""
