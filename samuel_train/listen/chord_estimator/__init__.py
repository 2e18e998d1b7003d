"""What hears chords and key in a melody whose beats are known."""
