"""How close generated bands come to the true ones: key, harmony, beat and sound, between a ceiling and a floor."""
