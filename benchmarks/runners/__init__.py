"""What is timed: denoisers and codecs in PyTorch, as published and as written here, and in the runtime's backends."""
