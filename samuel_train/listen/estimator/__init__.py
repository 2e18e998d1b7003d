"""What hears beats in a melody, and chords and key where nothing else does."""
