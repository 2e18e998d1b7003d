"""Who plays what, and the sound of it."""
