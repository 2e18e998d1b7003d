"""TensorRT engines as samuel runs them, on a fake GPU: numbers of ONNX Runtime's, and errors in one line."""

from __future__ import annotations

import gc
import inspect
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import pytest

from samuel_runtime.engines.tensorrt.cuda import Cuda
from samuel_runtime.engines.tensorrt.device import unfit_reason
from samuel_runtime.engines.tensorrt.engine import TensorRtEngine
from samuel_runtime.engines.tensorrt.library import last_error, library, logger_of, unavailable_reason
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor
from tests.support.runtime.fakes import tensorrt as fake_tensorrt
from tests.support.runtime.fakes.cuda import FakeCuda
from tests.support.runtime.fakes.device_toy import (
    CHANNELS,
    CONDITIONING,
    Machine,
    conditioning_graph,
    defective,
    fused_graph,
    on_host,
    profile,
    step_graph,
)
from tests.support.runtime.fakes.tensorrt import VERSION, FakeTensorRt, write_engine

RNG = np.random.default_rng(3)


def vocals(batch: int = 2, frames: int = 7) -> np.ndarray:
    return RNG.standard_normal((batch, CHANNELS, frames)).astype(np.float32)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_fake_has_nothing_that_the_true_module_lacks() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")
    fake = FakeTensorRt(FakeCuda())
    names = [name for name in {**vars(fake), **vars(FakeTensorRt)} if not name.startswith("_") and name != "install"]
    assert len(names) >= 6 and not [name for name in names if not hasattr(trt, name)]
    kinds = ("Runtime", "ICudaEngine", "IRuntimeConfig", "IRuntimeCache", "IExecutionContext", "ILogger", "Severity")
    for kind in kinds:
        ours, true = getattr(fake_tensorrt, kind), getattr(trt, kind, None) or getattr(trt.ILogger, kind)
        members = [name for name in dir(ours) if not name.startswith("_")]
        if issubclass(ours, IntEnum):
            members = [one.name for one in ours]
        assert members and not [name for name in members if not hasattr(true, name)], kind
    for name in ("DataType", "TensorIOMode", "ExecutionContextAllocationStrategy"):
        assert {one.name: int(one) for one in getattr(fake, name)}.items() <= {
            name: int(one) for name, one in getattr(trt, name).__members__.items()
        }.items()
    strategies = trt.DynamicShapesKernelSpecializationStrategy.__members__
    assert [one.name for one in fake.DynamicShapesKernelSpecializationStrategy] == list(strategies)
    assert isinstance(fake.__version__, type(trt.__version__))
    for one in fake_tensorrt.DataType:
        assert trt.nptype(getattr(trt.DataType, one.name)) is fake.nptype(one)


@pytest.mark.parametrize("kind", ["Runtime", "ICudaEngine", "IRuntimeConfig", "IRuntimeCache", "IExecutionContext"])
def test_the_fakes_arguments_are_the_true_ones(kind: str) -> None:
    """pybind11 writes them into the docstrings."""
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")
    ours = getattr(fake_tensorrt, kind)
    for name, function in inspect.getmembers(ours, inspect.isfunction):
        if not name.startswith("_"):
            said = getattr(getattr(trt, kind), name).__doc__
            for parameter in [one for one in inspect.signature(function).parameters if one != "self"]:
                assert f"{parameter}:" in said, f"{kind}.{name}({parameter})"


def test_the_library_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    trt = FakeTensorRt(FakeCuda())
    trt.install(monkeypatch)
    assert library(Flavor.RTX) is trt


@pytest.mark.parametrize("classic", [False, True])
def test_an_engine_gives_what_its_graph_gives(classic: bool) -> None:
    machine = Machine()
    engine = machine.conditioning()
    if classic:
        trt = FakeTensorRt(machine.fake, classic=True)
        content = write_engine(conditioning_graph(), [CONDITIONING])
        engine = TensorRtEngine(content, "m.engine", engine.backend, machine.cuda, trt, cache=None)
    assert engine.inputs == {"vocals"} and engine.outputs == ("keys", "summary")
    assert set(engine.types.values()) == {np.dtype(np.float32)}
    host = on_host(conditioning_graph())
    for batch, frames in ((1, 1), (2, 7), (3, 64)):
        given = vocals(batch, frames)
        for name, value in host(vocals=given).items():
            np.testing.assert_array_equal(engine(vocals=given)[name], value)


def test_inputs_of_other_types_than_floats_arrive(machine: Machine) -> None:
    """With shapes whose rows are no multiple of anything."""
    engine, host = machine.step(), on_host(fused_graph())
    assert engine.types["held"] == np.dtype(bool)
    shapes = {"x": (2, CHANNELS, 7), "keys": (2, CHANNELS, 7), "summary": (2, 1, 7), "scales": (2,), "update": (14,)}
    shapes |= dict.fromkeys(("anchor", "before", "noise", "known"), (2, CHANNELS, 7))
    shapes |= {"film": (2, CHANNELS), "gate": (2, 1)}
    inputs = {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    inputs["held"] = (np.arange(7) < 3).reshape(1, 1, 7)
    inputs["update"][2:4] = inputs["update"][12:14] = -1, 1
    expected = host(**inputs)
    for name, value in engine(**inputs).items():
        np.testing.assert_array_equal(value, expected[name])


def test_bound_inputs_are_read_at_every_run_and_outputs_are_overwritten(machine: Machine) -> None:
    engine, host, given = machine.conditioning(), on_host(conditioning_graph()), vocals()
    bound = engine.bind(vocals=given)
    allocations = machine.fake.calls["allocation"]
    first = bound.run()["keys"]
    np.testing.assert_array_equal(first, host(vocals=given)["keys"])
    given += 1
    second = bound.run()["keys"]
    np.testing.assert_array_equal(second, host(vocals=given)["keys"])
    assert second is first
    assert machine.fake.calls["allocation"] == allocations  # a run allocates nothing


def test_a_call_returns_arrays_of_its_own(machine: Machine) -> None:
    engine, given = machine.conditioning(), vocals()
    kept = engine(vocals=given)["keys"]
    before = kept.copy()
    engine(vocals=given + 1)
    gc.collect()
    np.testing.assert_array_equal(kept, before)


def test_the_profile_that_has_the_shapes_is_taken(machine: Machine) -> None:
    short, long = profile(vocals=(1, CHANNELS, 8)), profile(vocals=("b", CHANNELS, 32))
    engine = machine.engine(conditioning_graph(), short, long)
    for batch, frames in ((1, 8), (3, 32)):
        assert engine(vocals=vocals(batch, frames))["keys"].shape == (batch, CHANNELS, frames)


def test_a_shape_that_no_profile_has_is_named_with_the_largest_that_one_has(machine: Machine) -> None:
    said = r"^m\.engine: was not built for vocals \(4, 4, 7\) \(at most \(3, 4, 64\)\); use `provider='cpu'`"
    with pytest.raises(UserError, match=said):
        machine.engine(conditioning_graph(), CONDITIONING)(vocals=vocals(4))


@pytest.mark.parametrize("inputs", [{}, {"voice": vocals()}, {"vocals": vocals(), "more": vocals()}])
def test_inputs_that_the_engine_does_not_take_are_named(machine: Machine, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match=r"^conditioning\.engine: takes \['vocals'\], not .*; export the bundle again$"):
        machine.conditioning()(**inputs)


def test_shapes_that_do_not_fit_each_other_are_reported(machine: Machine) -> None:
    engine = machine.engine(step_graph(), {**STEP_INPUTS, "scales": ((1,), (2,), (2,))}, name="step.engine")
    given = {name: np.zeros(shapes[1], np.float32) for name, shapes in {**STEP_INPUTS, "scales": [(), (2,)]}.items()}
    engine(**given)
    with pytest.raises(
        UserError, match=r"^step\.engine: its inputs' shapes do not fit each other \([^\n]*\); try `prov"
    ):
        engine(**{**given, "keys": np.zeros((3, CHANNELS, 9), np.float32)})


STEP_INPUTS = profile(
    x=("b", CHANNELS, "f"), keys=("b", CHANNELS, "f"), summary=("b", 1, "f"), film=("b", CHANNELS), gate=("b", 1)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (write_engine(conditioning_graph(), [CONDITIONING], version="1.6.0.1"), "built by version 1.6.0.1"),
        (write_engine(conditioning_graph(), [CONDITIONING], capability=(12, 0)), "built for compute capability"),
        (write_engine(conditioning_graph(), [CONDITIONING])[:-9], "the engine is truncated"),
        (write_engine(conditioning_graph(), [CONDITIONING]) + b"more", "the engine is truncated"),
        (b"", "kMAGIC_TAG"),
        (conditioning_graph(), "kMAGIC_TAG"),
    ],
    ids=["version", "capability", "truncated", "too long", "empty", "no engine"],
)
def test_an_engine_that_cannot_be_loaded_is_named_with_the_librarys_own_words(
    machine: Machine, content: bytes, said: str
) -> None:
    backend = machine.conditioning().backend
    with pytest.raises(UserError) as raised:
        TensorRtEngine(content, "bundle/m.engine", backend, machine.cuda, machine.trt, None)
    message = str(raised.value)
    assert message.startswith(f"bundle/m.engine: TensorRT {VERSION} cannot load it on Fake GPU (compute")
    assert said in message and message.endswith("`samuel-export --trt BUNDLE`") and "\n" not in message


def test_an_engine_for_this_gpu_alone_loads_on_it(machine: Machine) -> None:
    machine.engine(conditioning_graph(), CONDITIONING, capability=(8, 9))(vocals=vocals())


def test_full_memory_is_said_wherever_it_happens_and_nothing_leaks() -> None:
    def use(fake: FakeCuda) -> None:
        Machine(fake).conditioning()(vocals=vocals())

    plenty = FakeCuda()
    use(plenty)
    assert plenty.calls["allocation"] == 7  # three tensors here and there, and scratch
    for nth in range(1, 8):
        fake = FakeCuda(fail_at=nth)
        with pytest.raises(UserError, match=r"^CUDA: .*memory is full.*`provider='cpu'`$"):
            use(fake)
        gc.collect()
        fake.assert_clean()


def test_everything_is_given_back() -> None:
    machine = Machine()
    fake, engine, given = machine.fake, machine.conditioning(), vocals()
    kept, bound = engine(vocals=given), engine.bind(vocals=given)
    shown = bound.run()["keys"]
    before = shown.copy()
    del machine, engine, bound
    gc.collect()
    np.testing.assert_array_equal(shown, before)  # pinned, and alive as long as it is looked at
    assert len(fake.alive()) == 1 and kept
    del shown
    fake.assert_clean()


def test_an_address_that_was_not_given_is_reported(machine: Machine) -> None:
    engine = machine.conditioning()
    execution = engine.execution({"vocals": (1, CHANNELS, 7)})
    memory = machine.cuda.allocate(1024)
    execution.address(vocals=memory.address, keys=memory.address + 512)
    with pytest.raises(
        UserError, match=r"^conditioning\.engine: it does not run \(.*no address is set for summary\)\)"
    ):
        execution.enqueue()
    with pytest.raises(UserError, match=r"other cannot be at 0x.*other is no tensor"):
        execution.address(other=memory.address)


def test_the_fake_calls_misuse_a_defect(machine: Machine) -> None:
    fake, cuda = machine.fake, machine.cuda
    execution = machine.conditioning().execution({"vocals": (1, CHANNELS, 7)})
    memory = cuda.allocate(1024)
    start = memory.address
    with defective(fake, "is not aligned"):
        execution.address(vocals=start + 128)
    execution.address(vocals=start, keys=start + 256, summary=start + 512)
    with cuda.capturing(), defective(fake, "the first run on a shape"):
        execution.enqueue()
    execution.enqueue()
    cuda.synchronize()
    with cuda.capturing():
        execution.enqueue()
    execution.address(summary=start + 256)
    with defective(fake, "keys and summary overlap"):
        execution.enqueue()
    execution.address(summary=start + 1024)
    with defective(fake, "is no device memory"):
        execution.enqueue()
    execution.address(summary=start + 768)
    execution.enqueue()
    del memory  # waits, as the true one
    with defective(fake, "is freed device memory"):
        execution.enqueue()
    fresh = cuda.allocate(1024).address
    with defective(fake, "is freed device memory"):
        execution.address(vocals=fresh)
        execution.enqueue()


def test_the_fake_needs_scratch_memory_that_is_alive(machine: Machine) -> None:
    engine = machine.conditioning()
    execution = engine.execution({"vocals": (1, CHANNELS, 7)})
    memory = machine.cuda.allocate(1024)
    start = memory.address
    execution.address(vocals=start, keys=start + 256, summary=start + 512)
    execution.enqueue()
    execution._scratch = machine.cuda.allocate(1)  # the old one is freed
    with defective(machine.fake, "is freed device memory"):
        execution.enqueue()
    with defective(machine.fake, "scratch memory of 1 bytes"):
        execution._context.set_device_memory(execution._scratch.address, 1)
    bare = engine._context()
    bare.set_optimization_profile_async(0, int(machine.cuda.stream))
    bare.set_input_shape("vocals", (1, CHANNELS, 7))
    for name, address in {"vocals": start, "keys": start + 256, "summary": start + 512}.items():
        bare.set_tensor_address(name, address)
    with defective(machine.fake, "without scratch memory"):
        bare.execute_async_v3(int(machine.cuda.stream))


def test_kernels_are_compiled_before_the_first_run(machine: Machine) -> None:
    """Else the last bits change between one run and the next; the fake's kernels show it."""
    engine, given = machine.conditioning(), vocals()
    bound = engine.bind(vocals=given)
    first = bound.run()["keys"].copy()
    np.testing.assert_array_equal(bound.run()["keys"], first)
    lazy = machine.trt.Runtime(engine._logger).deserialize_cuda_engine(
        write_engine(conditioning_graph(), [CONDITIONING])
    )
    assert lazy is not None
    strategy = machine.trt.DynamicShapesKernelSpecializationStrategy.LAZY
    assert lazy.create_runtime_config().dynamic_shapes_kernel_specialization_strategy is strategy


def test_a_machine_has_one_stream(machine: Machine) -> None:
    machine.conditioning()(vocals=vocals())
    assert isinstance(machine.cuda, Cuda)
    assert machine.fake.calls["cudaStreamCreateWithFlags"] == 1


def test_messages_of_the_library_do_not_pile_up() -> None:
    """A service kept every one of them for ever."""

    class Library:
        class ILogger:
            pass

    logger = logger_of(Library)
    info, error = SimpleNamespace(name="INFO"), SimpleNamespace(name="ERROR")
    for number in range(20_000):
        logger.log(info, f"{number} " + 10_000 * "x")
    logger.log(error, "the last\none")
    assert len(logger.messages) == 10_000
    assert max(len(text) for _, text in logger.messages) == 2_000
    assert last_error(logger) == "the last one"


def test_where_there_is_no_tensorrt_nothing_is_said_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("samuel_runtime.engines.tensorrt.library.is_installed", lambda flavor: False)
    for missing in (unavailable_reason(Flavor.RTX), unavailable_reason(Flavor.CLASSIC), unfit_reason(None)):
        assert missing.startswith("there is no TensorRT for this system")
