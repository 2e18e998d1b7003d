"""Songs whose music is known: procedural ones, scores and voices, and how a tracker hears them."""
