"""Training of the lead sheet's estimator: melodies, how a tracker would hear them, the network and its fit."""
