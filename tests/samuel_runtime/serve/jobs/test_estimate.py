"""How long jobs take: from what the last ones took, by their length and steps."""

from __future__ import annotations

import pytest

from samuel_runtime.serve.jobs.estimate import Estimate
from samuel_runtime.serve.jobs.job import STAGES, Job
from samuel_runtime.serve.jobs.request import Request, Wanted

TOOK = {"encode": 1.0, "sample": 8.0, "decode": 2.0, "write": 1.0}


def request(duration_s: float = 10.0, steps: int = 16, variations: int = 1) -> Request:
    wanted = Wanted(steps=steps, variations=variations)
    return Request(id="0" * 32, client="me", accepted_s=0.0, duration_s=duration_s, wanted=wanted)


def test_nothing_is_promised_before_a_job_was_done() -> None:
    job = Job(request())
    assert Estimate().whole_s(job.request) is None and Estimate().left_s(job) is None
    assert Estimate().share_done(job) == 0


def test_jobs_take_longer_by_length_steps_and_takes() -> None:
    estimate = Estimate()
    estimate.learn(request(), TOOK)
    assert estimate.whole_s(request()) == pytest.approx(12)
    assert estimate.whole_s(request(20.0)) == pytest.approx(24)
    assert estimate.whole_s(request(steps=32)) == pytest.approx(20)
    assert estimate.whole_s(request(variations=3)) == pytest.approx(1 + 3 * 11)
    estimate.learn(request(), {stage: 2 * took for stage, took in TOOK.items()})
    assert 12 < (estimate.whole_s(request()) or 0) < 24  # one slow job does not decide


def test_the_share_that_is_done_rises_from_nothing_to_all() -> None:
    estimate, job = Estimate(), Job(request(variations=2))
    estimate.learn(request(), TOOK)
    shares = []
    job.begin()
    for take in (1, 2):
        for stage in STAGES[0 if take == 1 else 1 :]:
            for done in (0, 1, 2):
                job.reach(take, stage, done, 2)
                shares.append(estimate.share_done(job))
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, pytest.approx(1))
    assert estimate.left_s(job) == pytest.approx(0, abs=0.01)
    job.reach(2, "decode", 0, 2)
    assert estimate.left_s(job) == pytest.approx(3, abs=0.05)
