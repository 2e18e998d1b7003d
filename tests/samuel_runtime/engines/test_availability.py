"""Which backends there are, which of them can be tried here, and which one the options mean."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from samuel_runtime import engines
from samuel_runtime.bundle.manifest import REQUIRED_GRAPHS, GraphName, Manifest
from samuel_runtime.engines import availability as backends
from samuel_runtime.engines.availability import (
    backend_of_graph,
    backends_of,
    chosen_backends,
    probe_backends,
    unavailable_reason,
)
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider
from tests.support.runtime.commands import run_here, write_voice
from tests.support.runtime.fakes.engines import add_sham_engines, sham_engines

CPU = Backend(Provider.CPU, Precision.FP32)
LOWERED = Backend(Provider.OPENVINO, Precision.BF16)


@pytest.fixture(scope="module")
def manifest(bundle: Path) -> Manifest:
    return Manifest.read(bundle)


def _typed(manifest: Manifest, precision: Precision) -> Manifest:
    step = manifest.graphs[GraphName.STEP].model_copy(update={"precision": precision})
    return manifest.model_copy(update={"graphs": {**manifest.graphs, GraphName.STEP: step}})


def _only(*there: Backend) -> object:
    return lambda backend, manifest: "" if backend in there else "not here"


def test_a_float32_bundle_runs_everywhere_and_openvino_lowers_it(manifest: Manifest) -> None:
    found = backends_of(manifest)
    assert found[0] == CPU and len(set(found)) == len(found)
    assert {backend.provider for backend in found} == set(Provider) - {Provider.AUTO}
    assert [backend.precision for backend in found if backend.provider is Provider.OPENVINO] == [
        Precision.FP32, Precision.BF16, Precision.FP16,
    ]  # fmt: skip
    others = set(Provider) - {Provider.OPENVINO, Provider.TENSORRT}
    assert {backend.precision for backend in found if backend.provider in others} == {Precision.FP32}


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_a_typed_bundle_runs_in_its_own_precision_only(manifest: Manifest, precision: Precision) -> None:
    typed = _typed(manifest, precision)
    assert {backend.precision for backend in backends_of(typed) if backend.provider is not Provider.TENSORRT} == {
        precision
    }
    assert "export" in unavailable_reason(CPU, typed) or precision.value in unavailable_reason(CPU, typed)


def test_the_cpu_can_be_tried_and_what_is_missing_says_what_adds_it(manifest: Manifest) -> None:
    missing = {found.backend: found.missing for found in probe_backends(manifest)}
    assert missing[CPU] == ""
    lacking = [
        backend for backend in missing if backend.provider in (Provider.DIRECTML, Provider.COREML) and missing[backend]
    ]
    assert lacking
    for backend in lacking:
        assert "there is none for this system" in missing[backend] or "pip install" in missing[backend]
    assert "no bf16 arithmetic on cpu" in unavailable_reason(
        Backend(Provider.CPU, Precision.BF16), _typed(manifest, Precision.BF16)
    )


@pytest.mark.parametrize("module, extra", [("openvino", "openvino"), ("onnxruntime", "cpu")])
def test_an_engine_that_is_not_installed_is_missing_with_its_extra(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"samuel_runtime.engines.{module}", raising=False)
    monkeypatch.delattr(engines, module, raising=False)
    backend = LOWERED if module == "openvino" else CPU
    assert f"`pip install 'samuel-deploy[{extra}]'`" in unavailable_reason(backend, manifest)


def test_auto_takes_what_is_remembered_and_before_that_the_cpu(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "unavailable_reason", _only(CPU, LOWERED))
    assert chosen_backends(manifest, Provider.AUTO)[0] == CPU
    assert chosen_backends(manifest, Provider.AUTO, remembered=LOWERED)[0] == LOWERED
    assert chosen_backends(manifest, Provider.AUTO, Precision.FP32, remembered=LOWERED)[0] == CPU
    assert chosen_backends(manifest, Provider.AUTO, Precision.BF16)[0] == LOWERED
    monkeypatch.setattr(backends, "unavailable_reason", _only(CPU))
    assert chosen_backends(manifest, Provider.AUTO, remembered=LOWERED)[0] == CPU


def test_a_named_provider_is_kept(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "unavailable_reason", _only(CPU, LOWERED, Backend(Provider.OPENVINO, Precision.FP32)))
    assert chosen_backends(manifest, Provider.OPENVINO, remembered=LOWERED)[0] == Backend(
        Provider.OPENVINO, Precision.FP32
    )
    assert chosen_backends(manifest, Provider.OPENVINO, Precision.BF16)[0] == LOWERED
    with pytest.raises(UserError, match=r"^`provider='cuda'`: not here$"):
        chosen_backends(manifest, Provider.CUDA)
    with pytest.raises(UserError, match=r"^`provider='openvino'` `precision='fp16'`: not here$"):
        chosen_backends(manifest, Provider.OPENVINO, Precision.FP16)


def test_a_precision_that_nothing_here_computes_in_is_said(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "unavailable_reason", _only(CPU))
    with pytest.raises(
        UserError, match=r"^`precision='bf16'`: nothing here can run the bundle; openvino bf16: not here"
    ):
        chosen_backends(manifest, Provider.AUTO, Precision.BF16)
    with pytest.raises(UserError, match=r"^`precision='fp32'`: the bundle computes in bf16; use `precision='bf16'`"):
        chosen_backends(_typed(manifest, Precision.BF16), Provider.AUTO, Precision.FP32)


@pytest.mark.parametrize(
    "options",
    [
        ("--provider", "cpu", "--precision", "bf16"),
        ("--provider", "coreml"),
        ("--precision", "fp16", "--provider", "cuda"),
    ],
)
def test_a_missing_way_is_one_line_to_the_user(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    run = run_here(capfd, write_voice(tmp_path / "voice.wav"), "--bundle", bundle, *options)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert all(option in run.err for option in options)


def test_only_what_pays_is_lowered(manifest: Manifest) -> None:
    lowered = {name for name in REQUIRED_GRAPHS if backend_of_graph(LOWERED, name, manifest) == LOWERED}
    assert lowered == {GraphName.STEP}
    oobleck = manifest.model_copy(update={"codec": manifest.codec.model_copy(update={"lowerable": True})})
    lowered = {name for name in REQUIRED_GRAPHS if backend_of_graph(LOWERED, name, oobleck) == LOWERED}
    assert lowered == {GraphName.STEP, GraphName.ENCODER, GraphName.DECODER}
    # Where the types say it, nothing is lowered further.
    for name in REQUIRED_GRAPHS:
        typed = _typed(oobleck, Precision.BF16)
        assert backend_of_graph(LOWERED, name, typed).precision is typed.graphs[name].precision


def test_every_way_that_can_be_tried_makes_nearly_the_same_step(bundle: Path, manifest: Manifest) -> None:
    rng = np.random.default_rng(4)
    vocals, noisy = rng.standard_normal((2, 1, 64, 32)).astype(np.float32)
    expected = Samuel.load(bundle, Provider.CPU, 1).conditioned(vocals)(noisy, [400], 2.0)
    for backend in (found.backend for found in probe_backends(manifest) if not found.missing):
        samuel = Samuel.load(bundle, backend.provider, 1, backend.precision)
        assert samuel.backend == backend
        output = samuel.conditioned(vocals)(noisy, [400], 2.0)
        distance = np.linalg.norm(output - expected) / np.linalg.norm(expected)
        print(f"{backend}: relative L2 {distance:.1e}")
        assert distance < (1e-5 if backend.precision is Precision.FP32 else 0.05)
        assert (distance > 1e-5) == (backend.precision is not Precision.FP32)


def test_onnx_runtime_has_no_bfloat16_convolution_on_the_cpu() -> None:
    """When it gains one, a bundle in bfloat16 can run there: see engines/onnx.py."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [1, 1, 4]) for name in ("x", "w", "y")]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "test", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _with_engines(manifest: Manifest, precision: Precision = Precision.FP16) -> Manifest:
    return manifest.model_copy(update={"engines": sham_engines(precision=precision)})


@pytest.mark.parametrize("precision", list(Precision))
def test_engines_run_in_their_precision_beside_the_graphs_in_theirs(manifest: Manifest, precision: Precision) -> None:
    engined = _with_engines(manifest, precision)
    assert [backend for backend in backends_of(engined) if backend.provider is Provider.TENSORRT] == [
        Backend(Provider.TENSORRT, precision)
    ]
    assert backends_of(engined)[0] == CPU
    backend = Backend(Provider.TENSORRT, precision)
    assert backend_of_graph(backend, GraphName.TIMESTEPS, engined) == CPU  # the one without an engine


def test_a_bundle_without_engines_says_so_whatever_the_precision(manifest: Manifest) -> None:
    """It once said that they compute in fp16."""
    for precision in Precision:
        missing = unavailable_reason(Backend(Provider.TENSORRT, precision), manifest)
        assert missing == "the bundle has no TensorRT engines; add them with `samuel-export --trt BUNDLE`"


def test_engines_of_another_precision_are_not_lowered(manifest: Manifest) -> None:
    missing = unavailable_reason(Backend(Provider.TENSORRT, Precision.FP32), _with_engines(manifest))
    assert missing.startswith("the bundle's engines compute in fp16") and missing.endswith("use `precision='fp16'`")


def test_engines_of_a_bundle_in_bfloat16_can_run(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timesteps are float32, as everywhere, so that the processor need not know bfloat16."""
    from samuel_runtime.engines.tensorrt import device

    monkeypatch.setattr(device, "unfit_reason", lambda engines: "")
    engined = _with_engines(_typed(manifest, Precision.BF16), Precision.BF16)
    assert unavailable_reason(Backend(Provider.TENSORRT, Precision.BF16), engined) == ""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "samuel_runtime.engines.onnxruntime", raising=False)
    monkeypatch.delattr(engines, "onnxruntime", raising=False)
    assert "samuel-deploy[cpu]" in unavailable_reason(Backend(Provider.TENSORRT, Precision.BF16), engined)


@pytest.mark.parametrize("options", [(), ("--precision", "fp16"), ("--trust-engines",)])
def test_engines_without_a_gpu_are_one_line_to_the_user(
    bundle_copy: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    from samuel_runtime.engines.tensorrt import device

    def no_gpu() -> None:
        raise UserError("CUDA: there is no NVIDIA GPU; use `provider='cpu'`")

    engined = add_sham_engines(bundle_copy)
    assert engined.engines is not None
    monkeypatch.setattr(device, "unavailable_reason", lambda flavor: "")
    monkeypatch.setattr(device, "version_of", lambda flavor: engined.engines.version)
    monkeypatch.setattr(device, "gpu_here", no_gpu)
    voice = write_voice(tmp_path / "voice.wav")
    run = run_here(capfd, voice, "--bundle", bundle_copy, "--provider", "tensorrt", *options)
    said = "--provider tensorrt --precision fp16" if "--precision" in options else "--provider tensorrt"
    assert (run.code, run.out) == (2, "")
    assert run.err == f"error: {said}: CUDA: there is no NVIDIA GPU; use --provider cpu\n"
