"""Everything that only a GPU can show, in one call and one table to paste: python -m benchmarks.gpu_check.

The paper's network and Stable Audio Open's codec, both with random weights: engines are built, every backend that this
machine has must make the processor's band, and each is timed from a voice's waveform to a band's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import onnx
import torch

from benchmarks.measuring.machine import this_machine
from benchmarks.runners.codecs import packaged_size, stable_audio_open
from benchmarks.runners.network import FRAMES, GUIDANCE, Paper, latents, make_paper
from benchmarks.runners.published import guided, published
from samuel_export import flops
from samuel_export.tensorrt.add_engines import add_engines
from samuel_runtime.audio.samples import Audio
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.cli import console
from samuel_runtime.engines.availability import probe_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.tensorrt.device import gpu_here
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_STEPS, Precision, Provider, Settings
from samuel_runtime.tuning.agreement import GeneratedSample, compare, generated_sample

OUTPUT = Path(__file__).parent / "results" / "gpu.json"
_CODECS = {"stable-audio-open": stable_audio_open, "packaged": packaged_size}
_ON_A_GPU = (Provider.TENSORRT, Provider.CUDA, Provider.ORT_TENSORRT, Provider.ORT_RTX)
_MORE_STEPS = 3 * DEFAULT_STEPS
_PUBLISHED_STEPS = 800
_ROUNDS = 5
_PEAK_SIZE = 4096
_COPIED_BYTES = 1 << 28


@dataclass(frozen=True)
class Row:
    """One runner; seconds for 47.5 s of audio, None where the runner has no such part."""

    runner: str
    step_s: float
    """A guided step, inside a loop."""
    latents_s: float
    """The default's steps, from the voice's latents to the band's."""
    published_s: float
    """800 steps, at the same pace."""
    encode_s: float | None = None
    decode_s: float | None = None
    whole_s: float | None = None
    """Waveform to waveform."""
    vram_mb: float | None = None
    """What the GPU's memory held more after the run than before the runner was opened."""
    latent_snr_db: float | None = None
    log_mel: float | None = None
    """Agreement with the processor in float32."""
    repeats: bool | None = None
    """Whether ten runs gave the same bytes."""


@click.command()
@click.option("--codec", type=click.Choice(list(_CODECS)), default="stable-audio-open", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUT, help="Where the numbers go.")
def command(codec: str, output: Path) -> None:
    """Build, compare and time everything on this machine's GPU."""
    gpu = gpu_here()
    with tempfile.TemporaryDirectory() as folder:
        paper = make_paper(Path(folder), _CODECS[codec]().eval())
        start = perf_counter()
        add_engines(paper.bundle, Precision.FP16, None, (), lambda line: click.echo(line, err=True))
        build_s = perf_counter() - start
        rows, missing = [], {}
        reference = generated_sample(Samuel.load(paper.bundle, Provider.CPU))
        for backend, why in (
            (found.backend, found.missing) for found in probe_backends(Bundle.open(paper.bundle).manifest)
        ):
            if backend.provider not in _ON_A_GPU:
                continue
            if why:
                missing[str(backend)] = why
            else:
                rows.append(_runtime_row(paper.bundle, backend, reference))
        if torch.cuda.is_available():
            rows += _torch_rows(paper)
        else:
            missing["PyTorch on the GPU"] = "this PyTorch has no CUDA"
    report = {
        "gpu": str(gpu), "driver": gpu.driver, "machine": this_machine().to_dict(), "codec": codec,
        "proof_and_build_s": build_s, "floors": _floors(paper), "rows": [asdict(row) for row in rows],
        "missing": missing,
    }  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=1) + "\n")
    click.echo(_table(report, rows))


def _runtime_row(bundle: Path, backend: Backend, reference: GeneratedSample) -> Row:
    before = _used_mb()
    samuel = Samuel.load(bundle, backend.provider, precision=backend.precision)
    made = generated_sample(samuel)
    found = compare(made, reference)
    repeats = all(np.array_equal(generated_sample(samuel).latents, made.latents) for _ in range(9))
    codec = samuel.manifest.codec
    voice = Audio(
        0.1 * np.random.default_rng(0).standard_normal((FRAMES * codec.hop_samples, codec.channels)).astype(np.float32),
        codec.sample_rate_hz,
    )
    vocals = samuel.encode(voice)
    band = samuel.generate(vocals, Settings())
    few, many = (_median(lambda n=n: samuel.generate(vocals, Settings(steps=n))) for n in (DEFAULT_STEPS, _MORE_STEPS))  # type: ignore[misc]
    step_s = (many - few) / (_MORE_STEPS - DEFAULT_STEPS)
    return Row(
        str(backend), step_s, few, few + (_PUBLISHED_STEPS - DEFAULT_STEPS) * step_s,
        _median(lambda: samuel.encode(voice)), _median(lambda: list(samuel.decode(band, voice))),
        _median(lambda: samuel.accompany(voice)), _used_mb() - before, found.latent_snr_db, found.log_mel, repeats,
    )  # fmt: skip


def _torch_rows(paper: Paper) -> Iterator[Row]:
    x, vocals = (torch.from_numpy(latents(seed)).cuda() for seed in (0, 1))
    t = torch.tensor([400], device="cuda")
    models: dict[str, Callable[[], Any]] = {
        "PyTorch as published, eager": lambda: published(paper.model.cuda()),
        "torch.compile": lambda: torch.compile(paper.model.cuda()),
    }
    for runner, make in models.items():
        before, model = _used_mb(), make()

        def step(model: Any = model) -> None:
            guided(model, x, vocals, t, GUIDANCE)
            torch.cuda.synchronize()

        step()
        step_s = _median(step)
        yield Row(runner, step_s, DEFAULT_STEPS * step_s, _PUBLISHED_STEPS * step_s, vram_mb=_used_mb() - before)


def _floors(paper: Paper) -> dict[str, float]:
    """What a step cannot be faster than: its arithmetic at the measured peak, its weights at the measured bandwidth."""
    if not torch.cuda.is_available():
        return {}
    a = torch.randn(_PEAK_SIZE, _PEAK_SIZE, device="cuda", dtype=torch.float16)
    block = torch.empty(_COPIED_BYTES, device="cuda", dtype=torch.uint8)
    peak = 2 * _PEAK_SIZE**3 / _median(lambda: (a @ a, torch.cuda.synchronize()))
    bandwidth = 2 * _COPIED_BYTES / _median(lambda: (block.clone(), torch.cuda.synchronize()))
    parameters = sum(parameter.numel() for parameter in paper.model.parameters())
    bundle = Bundle.open(paper.bundle)
    graphs = {name: onnx.load_from_string(bundle.read_graph(name)) for name in GraphName}
    flop = flops.of_guided_step(paper.model.cpu(), graphs, FRAMES)[1]
    return {
        "peak_fp16_tflops": peak / 1e12,
        "bandwidth_gb_s": bandwidth / 1e9,
        "step_arithmetic_ms": 1e3 * flop / peak,
        "step_weights_ms": 1e3 * 2 * parameters / bandwidth,
    }


def _table(report: dict[str, Any], rows: list[Row]) -> str:
    lines = [
        f"{report['gpu']}, driver for CUDA {report['driver']}; the paper's network, {report['codec']} codec, 47.5 s, "
        f"{DEFAULT_STEPS} steps; engines proven and built in {report['proof_and_build_s']:.0f} s",
        "",
        "| | step | latents | 800 steps | encode | decode | whole | GPU memory | latents | log-mel | ten runs |",
        "|---" * 11 + "|",
    ]
    for row in rows:
        parts = (row.step_s, row.latents_s, row.published_s, row.encode_s, row.decode_s, row.whole_s)
        cells = [row.runner, *("-" if part is None else f"{1e3 * part:.3g} ms" for part in parts)]
        cells += ["-" if row.vram_mb is None else f"{row.vram_mb:.0f} MB"]
        cells += ["-" if row.latent_snr_db is None else f"{row.latent_snr_db:.0f} dB"]
        cells += ["-" if row.log_mel is None else f"{row.log_mel:.4f}"]
        cells += ["-" if row.repeats is None else "the same" if row.repeats else "DIFFER"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"- {name}: {value:.3g}" for name, value in report["floors"].items()]
    lines += [f"- not here: {backend}: {why}" for backend, why in report["missing"].items()]
    return "\n".join(lines)


def _median(work: Callable[[], Any]) -> float:
    work()
    seconds = []
    for _ in range(_ROUNDS):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return float(np.median(seconds))


def _used_mb() -> float:
    from cuda.bindings import runtime

    status, free, total = runtime.cudaMemGetInfo()
    return float(total - free) / 1e6 if int(status) == 0 else 0.0


if __name__ == "__main__":
    console.run(command)
