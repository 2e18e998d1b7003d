"""Whose fault an order's end is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from samuel_runtime.files import explained
from samuel_runtime.serve.worker.outcomes import outcome


def test_where_a_user_chose_the_folder_a_full_disk_was_called_a_defect(tmp_path: Path) -> None:
    """`samuel-batch` writes into its user's folders, a server into its own."""
    band = tmp_path / "nowhere" / "band.wav"

    def write() -> dict[str, Any]:
        with explained(band):
            band.write_bytes(b"")
        return {"event": "done"}

    ended = outcome(write, Path(os.devnull))
    assert ended["event"] == "refused" and ended["detail"].startswith(f"{band}: cannot be written")
