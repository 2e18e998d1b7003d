"""Training the small codec: crops, stages, the loop, and the calibration at its end."""
