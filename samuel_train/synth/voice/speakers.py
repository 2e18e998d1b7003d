"""Whose speech the singing is made of: espeak-ng voices, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Speaker:
    """An espeak-ng voice."""

    language: str
    """The words it speaks, of :data:`samuel_train.synth.voice.lyrics.WORDS`."""
    variant: str
    """What follows the ``+`` in espeak-ng's name."""
    female: bool

    @property
    def voice(self) -> str:
        """As espeak-ng calls it."""
        return f"{self.language}+{self.variant}"


SPEAKERS = (
    Speaker("en-us", "f2", female=True),
    Speaker("en-us", "f4", female=True),
    Speaker("en-us", "Annie", female=True),
    Speaker("en-us", "Alicia", female=True),
    Speaker("it", "f3", female=True),
    Speaker("es", "f5", female=True),
    Speaker("en-us", "m3", female=False),
    Speaker("en-us", "m7", female=False),
    Speaker("en-us", "Mike", female=False),
    Speaker("en-us", "norbert", female=False),
    Speaker("it", "m4", female=False),
    Speaker("es", "m2", female=False),
)
