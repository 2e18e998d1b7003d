"""What strangers may ask of a server: bounds on a recording, on the queue, and on what is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; those with an option of `samuel-serve` say so."""

    longest_s: float = 600.0
    """Duration of a recording (--max-minutes); counted while it is read, whatever its header says."""
    upload_bytes: int = 100 << 20
    """Size of a recording's file (--max-mb); counted while it arrives, whatever Content-Length says."""
    field_bytes: int = 16 << 20
    """Size of all other fields of a form together: the largest lead sheet that is read."""
    takes: int = 8
    """Takes of one job."""
    waiting: int = 64
    """Jobs that wait, uploads in progress among them."""
    waiting_of_client: int = 16
    """Those of one key, or of one address where no key is asked for."""
    keep_s: float = 24 * 3600.0
    """How long an ended job is kept (--keep-hours)."""
    total_bytes: int = 20 << 30
    """Size of the jobs' folder (--max-gb), above which ended jobs go, the oldest first."""
    silent_upload_s: float = 30.0
    """How long an upload may pause."""
    inspection_s: float = 60.0
    """How long reading a recording through may take."""
    silent_work_s: float = 900.0
    """How long a worker may work without a sign of progress before it is taken for hung."""
    crashes: int = 2
    """Workers that a job may take down before it is given up."""
