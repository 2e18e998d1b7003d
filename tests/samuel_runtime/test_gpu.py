"""What only a GPU can show: each backend there makes the CPU's band, the same one every time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle
from samuel_runtime.engines.availability import backends_of, unavailable_reason
from samuel_runtime.engines.tensorrt.device import gpu_here
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_STEPS, Precision, Provider, Sampler, Settings
from samuel_runtime.tuning.agreement import agreement, generated_sample

pytestmark = pytest.mark.gpu

ON_A_GPU = [Provider.TENSORRT, Provider.CUDA, Provider.ORT_TENSORRT, Provider.ORT_RTX]
VOICE = Path(__file__).parents[2] / "samuel_runtime" / "assets" / "example_voice.flac"


@pytest.fixture(scope="module")
def with_engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged bundle with engines."""
    try:
        gpu_here()
    except UserError as error:
        pytest.skip(str(error))
    # Imported here: it needs the library, which only machines with a GPU, or those that build for them, have.
    from samuel_export.tensorrt.add_engines import add_engines

    folder = Path(shutil.copytree(PACKAGED_BUNDLE, tmp_path_factory.mktemp("engines") / "bundle"))
    add_engines(folder, Precision.FP16, None, (), print)
    return folder


@pytest.fixture(scope="module", params=ON_A_GPU, ids=lambda provider: provider.value)
def samuel(with_engines: Path, request: pytest.FixtureRequest) -> Samuel:
    manifest = Bundle.open(with_engines).manifest
    backend = next(backend for backend in backends_of(manifest) if backend.provider is request.param)
    if missing := unavailable_reason(backend, manifest):
        pytest.skip(missing)
    return Samuel.load(with_engines, backend.provider, precision=backend.precision)


@pytest.fixture(scope="module")
def reference(with_engines: Path) -> Samuel:
    return Samuel.load(with_engines, Provider.CPU)


def test_it_makes_the_band_of_the_cpu(samuel: Samuel, reference: Samuel) -> None:
    found = agreement(samuel, reference)
    print(f"{samuel.backend}: latents {found.latent_snr_db:.1f} dB, log-mel distance {found.log_mel:.4f}")
    assert found.passed, found


@pytest.mark.parametrize("sampler", Sampler)
def test_every_sampler_over_two_windows(samuel: Samuel, reference: Samuel, sampler: Sampler) -> None:
    """One and a half windows, so that the second is held to the first."""
    frames = 1536
    vocals = np.random.default_rng(0).standard_normal((64, frames)).astype(np.float32)
    settings = Settings(sampler, steps=DEFAULT_STEPS, seed=3)
    here, there = (one.generate(vocals, settings) for one in (samuel, reference))
    assert np.linalg.norm(here - there) <= 0.05 * np.linalg.norm(there)


def test_the_tenth_run_is_the_first(samuel: Samuel) -> None:
    """A peer's output drifts after its first run in a process."""
    first = generated_sample(samuel)
    for _ in range(9):
        again = generated_sample(samuel)
        np.testing.assert_array_equal(again.latents, first.latents)
        np.testing.assert_array_equal(again.band.samples, first.band.samples)


def test_two_processes_make_one_file(samuel: Samuel, with_engines: Path, tmp_path: Path) -> None:
    files = []
    for name in ("one.wav", "two.wav"):
        command = [sys.executable, "-m", "samuel_runtime.cli", str(VOICE), "-o", str(tmp_path / name)]
        backend = ["--provider", samuel.backend.provider.value, "--bundle", str(with_engines)]
        subprocess.run([*command, *backend], check=True, capture_output=True)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_a_batch_is_its_takes_one_by_one(samuel: Samuel) -> None:
    random = np.random.default_rng(1)
    vocals, x = (random.standard_normal((3, 64, 256)).astype(np.float32) for _ in range(2))
    together = samuel.conditioned(vocals)(x, [10, 400, 790], 2.0)
    for index, t in enumerate((10, 400, 790)):
        alone = samuel.conditioned(vocals[index : index + 1])(x[index : index + 1], [t], 2.0)[0]
        assert np.linalg.norm(together[index] - alone) <= 5e-3 * np.linalg.norm(alone)
