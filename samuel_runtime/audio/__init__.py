"""Audio files to samples and back: reading in blocks, levels, log-mel spectra, writing whole files or none."""
