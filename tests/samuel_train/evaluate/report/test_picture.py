"""The picture's panels, with what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes

from samuel_train.evaluate.report.picture import draw, page
from samuel_train.evaluate.report.report import Results
from tests.support.train import results

_ROWS = [results.CEILING, results.FLOOR, results.case(4, 0.3), results.case(8, 0.5)]


def _lines(panel: Axes) -> dict[str, list[float]]:
    return {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float).tolist() for line in panel.lines}


def test_every_panel_shows_the_cases_between_the_controls() -> None:
    panels = page(Results(_ROWS)).axes
    assert len(panels) == 10
    for panel in panels:
        lines = _lines(panel)
        (bars,) = panel.containers
        steps, means = bars[0].get_data()
        assert bars.get_label() == "ddim, guidance 2" and steps.tolist() == [4, 8]
        if "sound" in panel.get_title():
            assert (means.tolist(), lines["true band through the codec"]) == ([3.25, 3.25], [1.5, 1.5])
            assert "another song's band" not in lines
        else:
            assert means.tolist() == pytest.approx([0.4, 0.6])
            assert lines["true band through the codec"] == pytest.approx([0.8, 0.8])
            assert lines["another song's band"] == pytest.approx([0.1, 0.1])


def test_guidance_is_the_axis_where_it_is_what_varies() -> None:
    rows = [results.CEILING, *(results.case(4, value, guidance=g) for g, value in ((3.0, 0.5), (1.0, 0.3)))]
    panel = page(Results(rows)).axes[0]
    (bars,) = panel.containers
    assert panel.get_xlabel() == "guidance" and bars.get_label() == "ddim, 4 steps"
    assert bars[0].get_xdata().tolist() == [1, 3] and bars[0].get_ydata().tolist() == pytest.approx([0.4, 0.6])


def test_moved_voices_have_a_panel_that_peaks_at_the_right_turn() -> None:
    moved = [results.transposition(-5, 2), results.transposition(-5, 2, voice="w.wav")]
    panels = page(Results(_ROWS, moved)).axes
    assert len(panels) == 11
    lines = _lines(panels[-1])
    assert int(np.argmax(lines["band: ddim, guidance 2, 4 steps, 4 of 4"])) == 5  # of -5 .. 6 semitones
    assert int(np.argmax(lines["voice, 4 of 4"])) == 5


def test_long_songs_have_a_panel_per_measure() -> None:
    drifts = [results.drift(minutes, generated) for minutes in (2, 4) for generated in (False, True)]
    panels = page(Results(_ROWS, [results.transposition(0, 0)], drifts)).axes
    assert len(panels) == 17
    key, tempo = panels[11], panels[14]
    assert [bars.get_label() for bars in key.containers] == [drift.name for drift in drifts]
    assert key.containers[1][0].get_xdata().tolist() == pytest.approx([1 / 3, 1, 5 / 3])
    assert key.containers[1][0].get_ydata().tolist() == [1.5, 2.5, 3.5]
    assert len(tempo.containers) == 2  # true bands have none here


def test_a_picture_is_written_and_its_bytes_are_returned(tmp_path: Path) -> None:
    drawn = draw(tmp_path / "one.png", Results(_ROWS, [results.transposition(0, 0)], [results.drift(2, True)]))
    assert (tmp_path / "one.png").read_bytes() == drawn
    picture = image.imread(tmp_path / "one.png")
    assert picture.shape[1:] == (2160, 4) and np.ptp(picture) == 1
    assert abs(len(picture) - 1140) <= 1  # Matplotlib of another age rounds otherwise
