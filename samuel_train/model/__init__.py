"""The denoiser: its sizes, its network, and the checkpoint that holds all that is needed to use it."""
