"""How long jobs take here: seconds of each stage per second of voice, smoothed over the jobs that were done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic

from samuel_runtime.serve.jobs.job import STAGES, Job
from samuel_runtime.serve.jobs.request import Request

_NEWEST_SHARE = 0.3  # of the smoothed cost: a handful of jobs decide, so that it follows what else the machine does
_ASSUMED = {"encode": 0.02, "sample": 0.004, "decode": 0.02, "write": 0.01}
"""Before anything was measured, for the share of the whole alone: seconds per second of voice, "sample" per step."""


class Estimate:
    """Costs by stage, in seconds per second of voice; of "sample" per step as well."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._costs: dict[str, float] = {}

    def learn(self, request: Request, seconds: Mapping[str, float]) -> None:
        """Take in what a take took, by stage."""
        for stage, took_s in seconds.items():
            cost = took_s / _units(request, stage)
            known = self._costs.get(stage, cost)
            self._costs[stage] = known + _NEWEST_SHARE * (cost - known)

    def whole_s(self, request: Request) -> float | None:
        """Seconds that a job takes; None before one was done."""
        return self._seconds(request, _stages(request))

    def left_s(self, job: Job) -> float | None:
        """Seconds until a running job is done; None before that can be told."""
        rest = self._seconds(job.request, list(_stages(job.request))[_place(job) + 1 :])
        if rest is None:
            return None
        elapsed_s, share = monotonic() - job.stage_began_s, _share(job)
        if share > 0:
            return rest + elapsed_s * (1 - share) / share
        return rest + max(0.0, self._costs[job.stage] * _units(job.request, job.stage) - elapsed_s)

    def share_done(self, job: Job) -> float:
        """How much of a running job is done, 0 .. 1, by time."""
        stages = list(_stages(job.request))
        costs = [self._costs.get(stage, _ASSUMED[stage]) * _units(job.request, stage) for stage in stages]
        place = _place(job)
        return (sum(costs[:place]) + _share(job) * costs[place]) / sum(costs)

    def _seconds(self, request: Request, stages: Iterable[str]) -> float | None:
        if any(stage not in self._costs for stage in STAGES):
            return None
        return sum(self._costs[stage] * _units(request, stage) for stage in stages)


def _stages(request: Request) -> Iterable[str]:
    """All stages of a job, in their order."""
    yield STAGES[0]
    for _ in range(request.wanted.variations):
        yield from STAGES[1:]


def _place(job: Job) -> int:
    """Of the running stage among them."""
    return (job.take - 1) * (len(STAGES) - 1) + STAGES.index(job.stage)


def _share(job: Job) -> float:
    return job.done / job.total if job.total else 0.0


def _units(request: Request, stage: str) -> float:
    if stage != "sample":
        return request.duration_s
    assert request.wanted.steps is not None  # filled in where it was accepted
    return request.duration_s * request.wanted.steps
