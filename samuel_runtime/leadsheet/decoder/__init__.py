"""From the estimator's activations to a lead sheet: beats and bars of the whole song, then its key and chords.

What the user says is a constraint of the search, and not a patch on its result.
"""

from samuel_runtime.leadsheet.decoder.decode import decode

__all__ = ["decode"]
