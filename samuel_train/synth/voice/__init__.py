"""Who sings, which words, and the sound of it."""
