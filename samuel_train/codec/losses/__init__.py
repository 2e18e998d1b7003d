"""What the small codec is trained towards: spectra, predictions, and discriminators."""
