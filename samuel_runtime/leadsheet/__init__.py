"""What was sung, written down: beats, bars, key and chords, as a person can read and correct them."""

from samuel_runtime.leadsheet.sheet import ChordSpan, Confidence, LeadSheet, Meter, Note

__all__ = ["ChordSpan", "Confidence", "LeadSheet", "Meter", "Note"]
