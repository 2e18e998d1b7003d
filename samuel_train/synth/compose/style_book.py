"""The styles, as data: what :mod:`samuel_train.synth.compose.styles` says about lines applies."""

from __future__ import annotations

from samuel_train.synth.compose.meter import SIX_EIGHT, WALTZ
from samuel_train.synth.compose.styles import Drum, Kit, Layer, Program, Section, Style, Voicing

_CHORUSES = frozenset({Section.CHORUS, Section.BRIDGE})

_PIANOS = (Program.GRAND_PIANO, Program.BRIGHT_PIANO)
_ELECTRIC_PIANOS = (Program.ELECTRIC_PIANO, Program.FM_PIANO)

_BALLAD = Style(
    name="ballad",
    tempo_bpm=(62, 86),
    grooves=(
        {Drum.KICK: "X.......x.......", Drum.RIM: "....X.......X...", Drum.CLOSED_HAT: "x...o...x...o..."},
        {Drum.KICK: "X.........x.....", Drum.RIM: "....X.......X...", Drum.CLOSED_HAT: "x.o.x.o.x.o.x.o."},
    ),
    lift={Drum.RIM: "................", Drum.SNARE: "....X.......X...", Drum.RIDE: "x...x...x...x..."},
    kits=(Kit.STANDARD, Kit.ROOM),
    bass=("R...........5...", "R.......R.....a."),
    basses=(Program.FINGERED_BASS, Program.UPRIGHT_BASS),
    layers=(
        Layer(_PIANOS, ("0.1.2.3.2.1.2.3.", "X.......x......."), Voicing.HANDS),
        Layer((Program.SLOW_STRINGS, Program.WARM_PAD), ("X...............",), Voicing.HIGH, -4, 0.8, _CHORUSES),
        Layer((Program.NYLON_GUITAR,), ("0.2.1.3.0.2.1.3.",), Voicing.STRUMMED, -3, 0.4),
    ),
    room=0.7,
    drum_gain_db=-1,
)
_POP = Style(
    name="pop",
    tempo_bpm=(92, 128),
    grooves=(
        {Drum.KICK: "X.....x.X.......", Drum.SNARE: "....X.......X...", Drum.CLOSED_HAT: "x.o.x.o.x.o.x.o."},
        {Drum.KICK: "X.......X.x.....", Drum.SNARE: "....X.......X...", Drum.CLOSED_HAT: "x.x.x.x.x.x.x.x."},
        {Drum.KICK: "X...X...X...X...", Drum.CLAP: "....X.......X...", Drum.CLOSED_HAT: "..x...x...x...x."},
    ),
    lift={Drum.TAMBOURINE: "..o.x.o...o.x.o."},
    kits=(Kit.STANDARD, Kit.ROOM, Kit.ELECTRONIC),
    bass=("R..R..R.R..R..R.", "R.R.R.R.R.R.R.R.", "R...R...R...5.a."),
    basses=(Program.FINGERED_BASS, Program.PICKED_BASS),
    layers=(
        Layer((*_PIANOS, *_ELECTRIC_PIANOS), ("X...x...x...x...", "X..x..x.x..x..x."), Voicing.HANDS),
        Layer((Program.STEEL_GUITAR, Program.CLEAN_GUITAR), ("X.x.xux.X.x.xux.",), Voicing.STRUMMED, -4, 0.7),
        Layer((Program.WARM_PAD, Program.STRINGS), ("X...............",), Voicing.HIGH, -6, 0.7, _CHORUSES),
    ),
)
_BOSSA = Style(
    name="bossa",
    tempo_bpm=(108, 146),
    grooves=(
        {Drum.KICK: "X.....o.X.....o.", Drum.RIM: "x.....x.....x...", Drum.SHAKER: "X.o.X.o.X.o.X.o."},
        {Drum.KICK: "X.....o.X.....o.", Drum.RIM: "x...x.....x.x...", Drum.CLOSED_HAT: "X.o.X.o.X.o.X.o."},
    ),
    lift={Drum.CONGA: "o...x...o...x.oo"},
    kits=(Kit.JAZZ, Kit.STANDARD),
    bass=("R.....5.5.....R.", "R.....R.5.....5."),
    basses=(Program.UPRIGHT_BASS,),
    layers=(
        Layer((Program.NYLON_GUITAR,), ("x...x...-.x...x.", "x.....x...x.x..."), Voicing.CLOSE),
        Layer(
            (Program.ELECTRIC_PIANO, Program.VIBRAPHONE),
            ("......x.......x.", "x..............."),
            Voicing.HIGH,
            -5,
            0.6,
        ),
    ),
    sevenths=True,
    jazz=True,
)
_ROCK = Style(
    name="rock",
    tempo_bpm=(112, 168),
    grooves=(
        {Drum.KICK: "X.......X.x.....", Drum.SNARE: "....X.......X...", Drum.CLOSED_HAT: "X.x.X.x.X.x.X.x."},
        {Drum.KICK: "X.x.....X.x.....", Drum.SNARE: "....X.......X...", Drum.CLOSED_HAT: "X...X...X...X..."},
    ),
    lift={Drum.CLOSED_HAT: "................", Drum.OPEN_HAT: "X...X...X...X..."},
    kits=(Kit.POWER, Kit.ROOM),
    bass=("R.R.R.R.R.R.R.R.", "R.R.R.R.R.R.5.a."),
    basses=(Program.PICKED_BASS,),
    layers=(
        Layer(
            (Program.DISTORTION_GUITAR, Program.OVERDRIVEN_GUITAR),
            ("X.x.x.x.X.x.x.x.", "X...........x..."),
            Voicing.POWER,
        ),
        Layer(
            (Program.OVERDRIVEN_GUITAR,), ("X.......X.......", "X..x..x.X..x..x."), Voicing.POWER, -5, 0.6, _CHORUSES
        ),
        Layer((Program.ROCK_ORGAN,), ("X.......x.......",), Voicing.CLOSE, -4),
    ),
    room=0.3,
    drum_gain_db=2,
)
_FUNK = Style(
    name="funk",
    tempo_bpm=(92, 116),
    grooves=(
        {Drum.KICK: "X.....x.X..x....", Drum.SNARE: "....X..o.o..X...", Drum.CLOSED_HAT: "XoxoXoxoXoxoXoxo"},
        {Drum.KICK: "X.x.....X.x.....", Drum.SNARE: "....X.......X..o", Drum.CLOSED_HAT: "XoxoXoxoXoxoXox."},
    ),
    lift={Drum.OPEN_HAT: "..............o."},
    kits=(Kit.STANDARD, Kit.ROOM),
    bass=("R--R-.8-R-.5-R.-", "R-R-..8-.R-.5-a-"),
    basses=(Program.SLAP_BASS, Program.FINGERED_BASS),
    layers=(
        Layer((Program.MUTED_GUITAR, Program.CLEAN_GUITAR), ("X-u-x-u-X-u-x-ux", "X-.ux-u-x-.ux-u-"), Voicing.CLOSE),
        Layer(
            (Program.ELECTRIC_PIANO, Program.DRAWBAR_ORGAN), ("X-..x-.x-..x-...", "X-....x-..x-x-.."), Voicing.CLOSE, -2
        ),
        Layer((Program.BRASS,), ("X-......x-X-....", "..........x-X-.."), Voicing.HIGH, -5, 0.6, _CHORUSES),
    ),
    sevenths=True,
    swing=0.03,
    room=0.25,
)
_REGGAE = Style(
    name="reggae",
    tempo_bpm=(66, 92),
    grooves=(
        {Drum.KICK: "........X.......", Drum.RIM: "........X.......", Drum.CLOSED_HAT: "x.o.X.o.x.o.X.o."},
        {Drum.KICK: "X...X...X...X...", Drum.RIM: "........X.......", Drum.CLOSED_HAT: "x.oox.oox.oox.oo"},
    ),
    lift={Drum.RIM: "................", Drum.SNARE: "........X......."},
    kits=(Kit.STANDARD,),
    bass=("R...R.5.-.8.5...", "R.....R.5...R.a."),
    basses=(Program.FINGERED_BASS,),
    layers=(
        Layer((Program.MUTED_GUITAR, Program.CLEAN_GUITAR), ("....X-......X-..", "....X-u-....X-u-"), Voicing.CLOSE),
        Layer((Program.DRAWBAR_ORGAN, Program.ROCK_ORGAN), ("..x-..x-..x-..x-", "--x-x-x---x-x-x-"), Voicing.CLOSE, -2),
        Layer((Program.GRAND_PIANO,), ("....x-......x-..",), Voicing.CLOSE, -3, 0.5),
    ),
    swing=0.08,
)
_FOLK = Style(
    name="folk",
    tempo_bpm=(84, 126),
    grooves=(
        {Drum.SHAKER: "X.o.x.o.X.o.x.o.", Drum.KICK: "X...x...X...x..."},
        {Drum.TAMBOURINE: "....x.......x...", Drum.KICK: "X...x...X...x..."},
    ),
    lift={Drum.TAMBOURINE: "....X.......X...", Drum.KICK: "X...X...X...X..."},
    kits=(Kit.BRUSH, Kit.STANDARD),
    bass=("R.......5.......", "R.......5.....a."),
    basses=(Program.UPRIGHT_BASS,),
    layers=(
        Layer((Program.STEEL_GUITAR,), ("0.2.1.3.0.2.1.3.", "X...X.u.X...X.u."), Voicing.STRUMMED, strum_s=0.012),
        Layer((Program.NYLON_GUITAR,), ("X...x...X...x.u.",), Voicing.STRUMMED, -3, 0.5, strum_s=0.012),
        Layer((Program.ACCORDION,), ("X...............",), Voicing.HIGH, -9, 0.35, _CHORUSES),
    ),
    drum_gain_db=-2,
)
_DANCE = Style(
    name="dance",
    tempo_bpm=(116, 132),
    grooves=(
        {
            Drum.KICK: "X...X...X...X...",
            Drum.CLAP: "....X.......X...",
            Drum.CLOSED_HAT: "x...x...x...x...",
            Drum.OPEN_HAT: "..o...o...o...o.",
        },
        {Drum.KICK: "X...X...X...X...", Drum.SNARE: "....X.......X...", Drum.CLOSED_HAT: "X.x.X.x.X.x.X.xo"},
    ),
    lift={Drum.TAMBOURINE: "X.o.X.o.X.o.X.o."},
    kits=(Kit.ELECTRONIC, Kit.ANALOGUE),
    bass=("R.R.R.R.R.R.R.R.", "R-8-R-8-R-8-R-8-"),
    basses=(Program.SYNTH_BASS,),
    layers=(
        Layer((Program.POLY_SYNTH, Program.SAW_LEAD), ("X-.x-.x-X-.x-.x-", "X..-..x..-..X.-."), Voicing.CLOSE),
        Layer((Program.WARM_PAD, Program.STRINGS), ("X...............",), Voicing.HIGH, -1),
        Layer((Program.BRIGHT_PIANO,), ("X...x..xX...x..x",), Voicing.HANDS, -2, 0.7, _CHORUSES),
    ),
    drum_gain_db=2,
)
_SWING = Style(
    name="swing",
    tempo_bpm=(112, 180),
    grooves=(
        {Drum.RIDE: "X...x.x.X...x.x.", Drum.PEDAL_HAT: "....X.......X...", Drum.KICK: "o...o...o...o..."},
        {Drum.RIDE: "X...X.x.X...X.x.", Drum.PEDAL_HAT: "....X.......X...", Drum.SNARE: "......o.......o."},
    ),
    lift={Drum.SNARE: "..o...o.....o..."},
    kits=(Kit.JAZZ, Kit.BRUSH),
    bass=("R...3...5...a...", "R...5...8...a...", "R...5...3...a..."),
    basses=(Program.UPRIGHT_BASS,),
    layers=(
        Layer((Program.GRAND_PIANO,), ("X.....x.........", "X.....-.x.....x.", "x.....x-..x....."), Voicing.CLOSE),
        Layer((Program.JAZZ_GUITAR,), ("x..-x..-x..-x..-",), Voicing.CLOSE, -2),
        Layer((Program.VIBRAPHONE,), ("X.......x.......",), Voicing.HIGH, -6, 0.3),
    ),
    sevenths=True,
    jazz=True,
    swing=1 / 6,
)
_WALTZ = Style(
    name="waltz",
    tempo_bpm=(84, 156),
    grooves=(
        {Drum.KICK: "X...........", Drum.RIM: "....x...x...", Drum.CLOSED_HAT: "x...x...x..."},
        {Drum.KICK: "X...........", Drum.SNARE: "....o...x...", Drum.RIDE: "x...x...x..."},
    ),
    lift={Drum.TAMBOURINE: "....x...x..."},
    kits=(Kit.BRUSH, Kit.STANDARD),
    bass=("R...........", "R.......5...", "R...5...8..."),
    basses=(Program.UPRIGHT_BASS, Program.FINGERED_BASS),
    layers=(
        Layer((*_PIANOS, Program.NYLON_GUITAR), ("-...x...x...", "0.1.2.3.2.1."), Voicing.CLOSE),
        Layer((Program.ACCORDION,), ("-...x-..x-..",), Voicing.CLOSE, -5, 0.5),
        Layer((Program.STRINGS,), ("X...........",), Voicing.HIGH, -5, 0.7, _CHORUSES),
    ),
    meter=WALTZ,
    room=0.5,
)
_SOUL = Style(
    name="soul",
    tempo_bpm=(60, 92),
    grooves=(
        {Drum.KICK: "X.........x.", Drum.SNARE: "......X.....", Drum.CLOSED_HAT: "X.o.o.X.o.o."},
        {Drum.KICK: "X...x.......", Drum.SNARE: "......X.....", Drum.RIDE: "X.o.o.X.o.o."},
    ),
    lift={Drum.TAMBOURINE: "......X....."},
    kits=(Kit.STANDARD, Kit.ROOM),
    bass=("R.........5.", "R.....5...a."),
    basses=(Program.FINGERED_BASS,),
    layers=(
        Layer((Program.GRAND_PIANO, Program.ELECTRIC_PIANO), ("X.u.u.X.u.u.", "X.....X...u."), Voicing.HANDS),
        Layer((Program.DRAWBAR_ORGAN,), ("X...........",), Voicing.CLOSE, -6),
        Layer((Program.CLEAN_GUITAR,), ("......X-....",), Voicing.CLOSE, -4, 0.6),
        Layer((Program.BRASS,), ("X.......x-x-",), Voicing.HIGH, -8, 0.5, _CHORUSES),
    ),
    meter=SIX_EIGHT,
    sevenths=True,
    room=0.5,
)

STYLES = (_BALLAD, _POP, _BOSSA, _ROCK, _FUNK, _REGGAE, _FOLK, _DANCE, _SWING, _WALTZ, _SOUL)
"""What a song's style is drawn from, evenly."""
