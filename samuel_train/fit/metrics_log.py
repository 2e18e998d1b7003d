"""metrics.jsonl: one JSON object a line, appended while a run goes on and cut back when it is resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from samuel_runtime.files import replacing

Line = dict[str, Any]


def append_metrics(path: Path, line: Line) -> None:
    """Add one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_metrics(path: Path) -> list[Line]:
    """All whole lines; the last may be cut short by a kill and is then left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last newline is unfinished
    return [json.loads(line) for line in lines]


def rewind_metrics(path: Path, step: int) -> None:
    """Forget what was written after ``step``: a resumed run writes it again."""
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
