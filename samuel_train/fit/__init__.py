"""Training the denoiser: settings, batches, objective, loop, validation, and the folder that a run leaves."""
