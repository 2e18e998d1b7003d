"""What a file really holds: recordings joined end to end, and headers that a recorder never completed."""

from samuel_runtime.audio.containers.recordings import recordings_in

__all__ = ["recordings_in"]
