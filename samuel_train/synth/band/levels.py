"""How loud the sound font's instruments are: what makes them equal before an arrangement weighs them."""

from __future__ import annotations

from samuel_train.synth.compose.styles import Drum, Kit, Program

# Measured: four notes at one velocity, weighted as the ear does, against the mean of the kind.
PROGRAM_DB = {
    Program.GRAND_PIANO: 3.0,
    Program.BRIGHT_PIANO: 3.5,
    Program.ELECTRIC_PIANO: -3.0,
    Program.FM_PIANO: 1.0,
    Program.VIBRAPHONE: 2.0,
    Program.ROCK_ORGAN: -3.0,
    Program.NYLON_GUITAR: -1.0,
    Program.STEEL_GUITAR: -1.0,
    Program.JAZZ_GUITAR: -2.0,
    Program.MUTED_GUITAR: 5.0,
    Program.OVERDRIVEN_GUITAR: -5.0,
    Program.DISTORTION_GUITAR: -7.0,
    Program.UPRIGHT_BASS: 2.0,
    Program.FINGERED_BASS: -1.0,
    Program.PICKED_BASS: -1.0,
    Program.SLAP_BASS: 2.0,
    Program.SYNTH_BASS: 3.0,
    Program.STRINGS: 1.0,
    Program.SLOW_STRINGS: -1.0,
    Program.BRASS: -2.0,
    Program.WARM_PAD: 2.0,
}
KIT_DB = {Kit.POWER: -3.0, Kit.ELECTRONIC: -3.0, Kit.ANALOGUE: -6.0, Kit.BRUSH: 1.0}

STROKE = {
    Drum.KICK: 1.1,
    Drum.TAMBOURINE: 0.5,
    Drum.OPEN_HAT: 0.72,
    Drum.CONGA: 0.65,
    Drum.SHAKER: 0.8,
    Drum.CRASH: 0.8,
    Drum.RIDE: 0.85,
}
"""Share of the written loudness with which a drum is struck."""


def trim_db(program: int, drums: bool) -> float:
    """Gain that evens out an instrument or a kit."""
    return KIT_DB.get(Kit(program), 0.0) if drums else PROGRAM_DB.get(Program(program), 0.0)
