"""The diffusion process: schedule, guidance, samplers, noise, windows, and the denoiser that they call."""
