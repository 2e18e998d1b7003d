"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)


class Metrics:
    """Of one server, so that several may live in one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """All at zero."""
        self._registry = registry = CollectorRegistry()
        self.waiting = Gauge("samuel_jobs_waiting", "Jobs in the queue.", registry=registry)
        self.running = Gauge("samuel_jobs_running", "Jobs that are being done.", registry=registry)
        self.stored_bytes = Gauge("samuel_stored_bytes", "Size of all jobs on disk.", registry=registry)
        self.jobs = Counter("samuel_jobs", "Jobs that ended, by how.", ["outcome"], registry=registry)
        self.errors = Counter(
            "samuel_errors", "Refused recordings, defects, crashed workers.", ["kind"], registry=registry
        )
        self.answers = Counter("samuel_answers", "Answers, by their status.", ["status"], registry=registry)
        self.stage_seconds = Histogram(
            "samuel_stage_seconds", "Wall time of a take's stages.", ["stage"], buckets=_SECONDS, registry=registry
        )
        self.real_time_factor = Histogram(
            "samuel_real_time_factor",
            "Wall time of a take over the duration of its voice.",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self._registry)
