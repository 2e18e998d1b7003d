"""The loop as one graph on a fake GPU samples what the loop on the host samples, again and again, and asks little."""

from __future__ import annotations

import gc
from functools import partial

import numpy as np
import pytest

from samuel_runtime.diffusion import fused_step
from samuel_runtime.diffusion.denoiser import Denoiser
from samuel_runtime.diffusion.fused_step import Inputs
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.samplers import sample, timesteps_for
from samuel_runtime.diffusion.schedule import Prediction, Schedule
from samuel_runtime.diffusion.windows import inpaint_prefix
from samuel_runtime.engines.tensorrt.cuda_graph_sampler import CudaGraphSampler, StridedBuffer
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Sampler
from tests.support.runtime.fakes.cuda import CopyKind, FakeCuda
from tests.support.runtime.fakes.device_toy import CHANNELS, CLAMP, FRAMES, Machine, Window, draw, host_denoiser

# Float32 on the device, where the host's loop sums in float64; some steps lie between the latents and the last one.
CLOSE = 2e-6
TABLES = 3  # film, gate and the update
ONCE = 5  # vocals, start, scales, known frames and which they are


def looped(machine: Machine, inputs: Inputs) -> CudaGraphSampler:
    """A loop for these inputs."""
    shape, noisy = inputs.start.shape, inputs.noise is not None
    return CudaGraphSampler(machine.cuda, machine.conditioning(), machine.step(), shape, inputs.terms, noisy=noisy)  # type: ignore[arg-type]


def sampled(denoiser: Denoiser, window: Window, sampler: Sampler, steps: int) -> np.ndarray:
    """The host's latents after every step, (steps, batch, channels, frames)."""
    schedule = Schedule.cosine()
    denoise = inpaint_prefix(denoiser.conditioned(window.vocals).clean(window.guidance, CLAMP), window.prefix_latents)
    taken, timesteps = partial(draw, window.batch, window.seed), timesteps_for(sampler, schedule, steps)
    return np.stack(list(sample(sampler, denoise, taken(schedule.timesteps), schedule, timesteps, taken, CLAMP)))


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64)))


@pytest.fixture(scope="module")
def host() -> Denoiser:
    return host_denoiser()


@pytest.mark.parametrize("sampler", Sampler)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_it_samples_what_the_loop_on_the_host_samples(host: Denoiser, sampler: Sampler, batch: int, steps: int) -> None:
    """Every step of it, with and without frames that are known, whatever ran before."""
    loop = looped(Machine(), Window(batch).inputs(sampler, steps))
    for held, guidance, seed in (
        (0, Guidance(2.0), 0),
        (4, Guidance(1.0), 7),
        (FRAMES, Guidance(3.5), 8),
        (1, Guidance(2.0, down_to=500), 9),
        (0, Guidance(1.0), 10),
    ):
        window = Window(batch, held, guidance, seed)
        latents, expected = loop.run(window.inputs(sampler, steps)), sampled(host, window, sampler, steps)
        assert latents.dtype == np.float32 and latents.shape == (steps, batch, CHANNELS, FRAMES)
        for step in range(steps):
            assert distance(latents[step], expected[step]) < CLOSE, step
        np.testing.assert_array_equal(latents[-1, ..., :held], window.prefix_latents)  # the last step gives x_0


@pytest.mark.parametrize("sampler", Sampler)
def test_it_samples_what_the_host_does_for_networks_that_predict_the_noise(sampler: Sampler) -> None:
    window = Window(2, held=3)
    inputs = window.inputs(sampler, 6, Prediction.EPSILON)
    expected = sampled(host_denoiser(Prediction.EPSILON), window, sampler, 6)
    # Where there is almost only noise, x_0 is a difference divided by alpha: its rounding is divided as well.
    assert distance(looped(Machine(), inputs).run(inputs), expected) < 1e-3


@pytest.mark.parametrize("sampler", Sampler)
@pytest.mark.parametrize("steps", [4, 9])
def test_the_same_inputs_give_the_same_bytes(sampler: Sampler, steps: int) -> None:
    """In the second run and in the tenth, with others between them."""
    inputs, others = Window(3, held=4).inputs(sampler, steps), Window(3, seed=5, held=2).inputs(sampler, steps)
    loop = looped(Machine(), inputs)
    first = loop.run(inputs)
    kept = first.tobytes()
    assert loop.run(inputs).tobytes() == kept
    for _ in range(7):
        assert loop.run(others).tobytes() != kept
    assert loop.run(inputs).tobytes() == kept == first.tobytes()
    assert looped(Machine(), inputs).run(inputs).tobytes() == kept


@pytest.mark.parametrize("sampler", Sampler)
@pytest.mark.parametrize("steps", [4, 9])
def test_a_run_that_overflows_does_not_reach_the_next(sampler: Sampler, steps: int) -> None:
    """What it leaves has weight 0 in the next run's first step, but 0 times NaN is NaN."""
    inputs = Window().inputs(sampler, steps)
    loop = looped(Machine(), inputs)
    expected = loop.run(inputs)
    broken = Window(seed=1).inputs(sampler, steps)
    broken.start[...] = np.nan
    assert np.isnan(loop.run(broken)).any()
    np.testing.assert_array_equal(loop.run(inputs), expected)


def test_one_step_gives_the_networks_output(host: Denoiser) -> None:
    """At other timesteps for every take, and with each guidance."""
    inputs, x = Window(3).inputs(Sampler.DDIM, 1), draw(3, 4, 1)
    loop = looped(Machine(), inputs)
    for seed, guidance in ((0, 1.0), (1, 2.5), (2, 1.0)):
        window, t = Window(3, seed=seed), (799, 400, seed)
        terms = [host.terms(t)]
        update, nothing = fused_step.output_alone()[None], window.vocals[..., :0]
        (output,) = loop.run(Inputs({"vocals": window.vocals}, x, nothing, [guidance], update, terms, noise=None))
        expected = host.conditioned(window.vocals)(x, t, guidance)
        np.testing.assert_allclose(output, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sampler", Sampler)
@pytest.mark.parametrize("steps", [2, 9])
def test_a_window_asks_little_of_the_host(sampler: Sampler, steps: int) -> None:
    """However many steps it has: one graph, one copy of each thing, one wait, and no memory."""
    machine, inputs = Machine(), Window(2).inputs(sampler, steps)
    loop, fake = looped(machine, inputs), machine.fake
    loop.run(inputs)  # the first makes the host's copies
    fake.calls.clear()
    fake.copied.clear()
    loop.run(inputs)
    noisy = sampler is Sampler.ANCESTRAL
    assert dict(fake.calls) == {
        "cudaMemcpyAsync": ONCE + TABLES + noisy + 1,
        "cudaGraphLaunch": 1,
        "cudaStreamSynchronize": 1,
    }
    kinds = [kind for kind, _ in fake.copied]
    assert kinds == [CopyKind.cudaMemcpyHostToDevice] * (ONCE + TABLES + noisy) + [CopyKind.cudaMemcpyDeviceToHost]
    rows = 512  # of latents: 2 x 4 x 10 float32, padded
    sizes = [size for _, size in fake.copied]
    assert sizes.count(steps * rows) == noisy and sizes[-1] == (steps + 1) * rows and sizes[-2] == rows


def test_steps_are_captured_once() -> None:
    machine, inputs = Machine(), Window().inputs(Sampler.UNIPC, 5)
    loop = looped(machine, inputs)
    warm_up, steps, conditioning = 2, 5, 1
    assert machine.fake.calls["execute_async_v3"] == warm_up + steps + conditioning
    loop.run(inputs)
    assert machine.fake.calls["execute_async_v3"] == warm_up + steps + conditioning
    assert machine.fake.calls["cudaStreamBeginCapture"] == machine.fake.calls["cudaGraphInstantiate"] == 1


def test_loops_of_several_shapes_live_side_by_side() -> None:
    machine = Machine()
    conditioning, step = machine.conditioning(), machine.step()
    windows = [Window(batch) for batch in (1, 2, 3)]
    given = [window.inputs(Sampler.UNIPC, 2 + window.batch) for window in windows]
    loops = [
        CudaGraphSampler(machine.cuda, conditioning, step, one.start.shape, one.terms, noisy=False)  # type: ignore[arg-type]
        for one in given
    ]
    first = [loop.run(one) for loop, one in zip(loops, given, strict=True)]
    for loop, one, expected in zip(loops, given, first, strict=True):
        np.testing.assert_array_equal(loop.run(one), expected)


@pytest.mark.parametrize("sampler", [Sampler.UNIPC, Sampler.ANCESTRAL])
def test_everything_is_given_back(sampler: Sampler) -> None:
    machine, inputs = Machine(), Window().inputs(sampler, 3)
    fake, loop = machine.fake, looped(machine, inputs)
    latents = loop.run(inputs)
    before = len(fake.alive())
    other = looped(machine, inputs)
    other.run(inputs)
    assert len(fake.alive()) == 2 * before - 1  # they share the stream
    del other
    gc.collect()
    assert len(fake.alive()) == before
    del loop, machine
    gc.collect()
    fake.assert_clean()
    assert np.isfinite(latents).all()  # of its own


def test_full_memory_is_said_wherever_it_happens_and_nothing_leaks() -> None:
    inputs = Window().inputs(Sampler.ANCESTRAL, 3)

    def use(fake: FakeCuda) -> None:
        looped(Machine(fake), inputs).run(inputs)

    plenty = FakeCuda()
    use(plenty)
    most = plenty.calls["allocation"]
    assert most > 20
    for nth in range(1, most + 1):
        fake = FakeCuda(fail_at=nth)
        with pytest.raises(UserError, match=r"^CUDA: .*memory is full.*`provider='cpu'`$"):
            use(fake)
        gc.collect()
        fake.assert_clean()


def test_more_takes_than_the_engines_were_built_for_are_refused_in_words() -> None:
    machine, inputs = Machine(), Window(4).inputs(Sampler.DDIM, 2)
    with pytest.raises(UserError, match=r"^conditioning\.engine: was not built for vocals \(4, 4, 10\).*fewer takes"):
        looped(machine, inputs)
    fake = machine.fake
    del machine
    gc.collect()
    fake.assert_clean()


@pytest.mark.parametrize("shape", [(1,), (2, 3, 5), (64,), (65,)])
@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_rows_lie_where_tensorrt_may_read_them(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    cuda = Machine().cuda
    rows = StridedBuffer(cuda, 3, shape, np.dtype(dtype))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    assert all(rows[i] % 256 == 0 for i in range(3))
    assert all(rows[i + 1] - rows[i] >= size for i in range(2))
    assert rows.host.shape == (3, *shape) and rows.host.dtype == dtype


def test_rows_go_up_as_far_as_asked_and_come_back_whole() -> None:
    cuda = Machine().cuda
    rows = StridedBuffer(cuda, 3, (2, 5))
    values = np.random.default_rng(1).standard_normal((3, 2, 5)).astype(np.float32)
    rows.host[...] = values
    rows.upload(2)
    cuda.synchronize()
    rows.host[...] = 7
    rows.download()
    cuda.synchronize()
    np.testing.assert_array_equal(rows.host[:2], values[:2])
    assert not rows.host[2].any()
