"""Moved voices and long songs as text."""

from __future__ import annotations

from samuel_train.evaluate.report.report import Results
from samuel_train.evaluate.report.tables import drift_table, said, transposition_table
from tests.support.train import results


def test_the_best_turns_are_told_and_the_right_ones_marked() -> None:
    head, shifts, band, voice = transposition_table([results.transposition(-5, 0)]).split("\n")
    assert head == "v.wav, ddim, guidance 2, 4 steps, 3 seeds"
    assert shifts.split()[:2] == ["-5", "+2"]
    assert band.split()[:5] == ["band", "-5*", "(-5*)", "+0", "(+0)"] and "1 of 2" in band
    assert voice.split()[:5] == ["voice", "-5*", "(-5*)", "+2*", "(+2*)"] and "2 of 2" in voice


def test_every_voice_has_its_paragraph() -> None:
    text = transposition_table([results.transposition(0, 0, voice=name) for name in ("a.wav", "b.wav")])
    assert [part.split(",")[0] for part in text.split("\n\n")] == ["a.wav", "b.wav"]


def test_every_measure_has_a_line_per_case_with_its_windows_and_slope() -> None:
    lines = drift_table([results.drift(2, False), results.drift(2, True)]).split("\n")
    assert len(lines) == 6 * 3
    assert lines[0].split() == ["key", "from,", "2", "min", "0", "s", "40", "s", "80", "s", "per", "minute,", "95", "%"]
    assert lines[2].startswith("ddim, guidance 2, 4 steps, 2 min")
    assert lines[2].split()[-6:] == ["1.50", "2.50", "3.50", "+1.500", "±", "0.000"]
    assert lines[9].startswith("tempo from") and lines[10].split()[-4:] == ["-", "-", "-", "-"]


def test_only_what_was_asked_for_is_said() -> None:
    rows = [results.CEILING, results.case(4, 0.3)]
    assert len(said(Results(rows))) == 2
    everything = said(Results(rows, [results.transposition(0, 0)], [results.drift(2, True), results.drift(4, True)]))
    assert len(everything) == 6 and "key from, 4 min" in everything[4]
    assert "shuffled" in everything[3] and everything[5].startswith("key ")
