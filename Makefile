PYTHON ?= python3
PREVIEW ?= preview
JOBS ?= 2

.PHONY: demo test test-slow check bench gpu-check preview-bundle clean

# The runtime alone, as a musician has it: no PyTorch, no ONNX tools.
.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --upgrade pip
	.venv/bin/pip install --quiet '.[cpu,plots]'
	touch $@

# Everything that training, export and tests need.
.venv-dev/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/pip install --quiet --upgrade pip
	.venv-dev/bin/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/.installed
	mkdir -p demo
	.venv/bin/samuel-run samuel_runtime/assets/example_voice.flac \
		--output demo/accompaniment.wav --mix demo/mix.wav --diagnostics demo/diagnostics

test: .venv-dev/.installed check
	.venv-dev/bin/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" -rs

test-slow: .venv-dev/.installed
	.venv-dev/bin/python -m pytest -m slow -s

check: .venv-dev/.installed
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

bench: .venv-dev/.installed
	mkdir -p benchmarks/results
	.venv-dev/bin/python -m pytest benchmarks -s --benchmark-json benchmarks/results/latest.json \
		--benchmark-columns median,min,iqr,rounds --benchmark-sort fullname
	.venv-dev/bin/python -m benchmarks.report

# On a machine with an NVIDIA GPU: its tests, then its table; without one it says what is missing.
gpu-check: .venv-dev/.installed
	.venv-dev/bin/python -m pytest -m gpu -rs -s
	.venv-dev/bin/python -m benchmarks.gpu_check

# What songs are rendered with, beside `apt-get install fluidsynth fluid-soundfont-gm espeak-ng`.
.venv-dev/.synth: .venv-dev/.installed
	.venv-dev/bin/pip install --quiet --editable '.[synth]'
	touch $@

# From nothing to the bundle inside the package: songs, codec, latents, denoiser, export. Under two hours on two cores.
preview-bundle: .venv-dev/.synth
	.venv-dev/bin/samuel-train synthesize --output $(PREVIEW)/stems --songs 300 --seed 0
	.venv-dev/bin/samuel-train codec $(PREVIEW)/stems --out $(PREVIEW)/codec --minutes 30
	.venv-dev/bin/samuel-train prepare $(PREVIEW)/stems --out $(PREVIEW)/latents --codec $(PREVIEW)/codec
	.venv-dev/bin/samuel-train fit $(PREVIEW)/latents --out $(PREVIEW)/run --config samuel_train/preview.toml --max-minutes 40
	.venv-dev/bin/samuel-export $(PREVIEW)/run/checkpoint.safetensors --output samuel_runtime/assets/bundle \
		--codec $(PREVIEW)/codec --weights fp16 --guidance 2 --licence MIT

clean:
	rm -rf .venv .venv-dev demo $(PREVIEW) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
