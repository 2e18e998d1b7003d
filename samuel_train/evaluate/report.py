"""Results as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samuel_runtime.files import replacing
from samuel_runtime.manifest import GraphName
from samuel_runtime.pipeline import Samuel
from samuel_train.evaluate.rows import Row
from samuel_train.evaluate.scores import METRICS, SOUND
from samuel_train.stems import Song

_VERSION = 1
_COLUMNS = (*METRICS[:5], SOUND, *METRICS[5:])
_WIDTH = 9


@dataclass(frozen=True)
class Subject:
    """What was evaluated."""

    step_graph_sha256: str
    """Which model it was."""
    way: str
    """Provider and precision."""
    songs: tuple[str, ...]
    """Names, in the order of the values in every row."""

    @classmethod
    def of(cls, samuel: Samuel, songs: Sequence[Song]) -> Subject:
        """Of a loaded bundle and the songs."""
        step = samuel.manifest.graphs[GraphName.STEP]
        return cls(step.sha256, str(samuel.way), tuple(song.name for song in songs))


def write_results(path: Path, subject: Subject, rows: Sequence[Row]) -> None:
    """Everything as JSON; written whole or not at all, so it can be called after every row.

    Raises:
        UserError: the file cannot be written.
    """
    report = {
        "version": _VERSION,
        "step_graph_sha256": subject.step_graph_sha256,
        "way": subject.way,
        "songs": list(subject.songs),
        "meaning": {metric.name: metric.meaning for metric in _COLUMNS},
        "rows": [row.to_dict() for row in rows],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """Means over the songs, a line per row, under a header."""
    width = max(len(row.name) for row in rows)
    lines = [" " * width + "".join(metric.name.rjust(_WIDTH) for metric in _COLUMNS)]
    return "\n".join(lines + [row.name.ljust(width) + "".join(_cell(row, m.name) for m in _COLUMNS) for row in rows])


def legend() -> str:
    """What the columns mean."""
    return "\n".join(f"{metric.name.ljust(_WIDTH)} {metric.meaning}" for metric in _COLUMNS)


def _cell(row: Row, metric: str) -> str:
    summary = row.summary(metric)
    if summary is None:
        return "-".rjust(_WIDTH)
    sign = "+" if metric == "level" else ""
    digits = {"level": 1, "sound": 2, "clipping": 5}.get(metric, 3)
    return f"{summary.mean:{sign}.{digits}f}".rjust(_WIDTH)
