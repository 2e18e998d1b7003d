PYTHON ?= python3
MODEL ?= model
CODEC ?= samuel_train/assets/codec
SONGS ?= 1017
CODEC_BUDGET ?= --steps 4740
CODEC_BATCH ?= 64
CODEC_ECHOES ?= 2
FIT_BUDGET ?= --max-steps 5718
FIT_BATCH ?= 64
LISTEN_BUDGET ?= --minutes 60
SHEETS ?=
JOBS ?= 2

.PHONY: help demo test test-slow check bench gpu-check codec default-model clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Not editable, so that it is tried as a musician has it; whatever changes in it is installed anew.
RUNTIME := $(shell find samuel_runtime -name '*.py' -o -path '*assets/*' -type f 2>/dev/null)

# The runtime alone, as a musician has it: no PyTorch, no ONNX tools.
.venv/.installed: pyproject.toml $(RUNTIME)
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --upgrade pip
	rm -rf build  # or files that are gone from the source would be installed again
	.venv/bin/pip install --quiet --upgrade --force-reinstall --no-deps .
	.venv/bin/pip install --quiet '.[cpu,plots]'
	touch $@

# Everything that training, export and tests need.
.venv-dev/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/pip install --quiet --upgrade pip
	.venv-dev/bin/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/.installed ## install the runtime into .venv and make a band for the packaged voice
	mkdir -p demo
	.venv/bin/samuel-run samuel_runtime/assets/example_voice.flac \
		--output demo/accompaniment.wav --mix demo/mix.wav --diagnostics demo/diagnostics

test: .venv-dev/.installed check ## install everything into .venv-dev, check and test it
	.venv-dev/bin/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" -rs --durations 10

test-slow: .venv-dev/.installed ## tests that take minutes
	.venv-dev/bin/python -m pytest -m slow -s

check: .venv-dev/.installed ## formatting, lint and types
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

bench: .venv-dev/.installed ## time every runner beside PyTorch, into benchmarks/results/
	mkdir -p benchmarks/results
	.venv-dev/bin/python -m pytest benchmarks -s --benchmark-json benchmarks/results/latest.json \
		--benchmark-columns median,min,iqr,rounds --benchmark-sort fullname
	.venv-dev/bin/python -m benchmarks.report

# On a machine with an NVIDIA GPU: its tests, then its table; without one it says what is missing.
gpu-check: .venv-dev/.installed ## tests and times on an NVIDIA GPU
	.venv-dev/bin/python -m pytest -m gpu -rs -s
	.venv-dev/bin/python -m benchmarks.gpu_check

# What songs are rendered with, beside `apt-get install fluidsynth fluid-soundfont-gm espeak-ng`.
.venv-dev/.synth: .venv-dev/.installed
	.venv-dev/bin/pip install --quiet --editable '.[synth]'
	touch $@

# A codec from nothing. What was stopped goes on when it is called again; a larger budget than before trains longer.
codec: .venv-dev/.synth ## a codec from nothing, into $(MODEL)/codec
	.venv-dev/bin/samuel-train synthesize --output $(MODEL)/stems --songs $(SONGS) --seed 0 --duration-s 47.55
	.venv-dev/bin/samuel-train codec $(MODEL)/stems --out $(MODEL)/codec $(CODEC_BUDGET) --batch $(CODEC_BATCH) \
		--echoes $(CODEC_ECHOES) $(if $(wildcard $(MODEL)/codec/training.pt),--resume)
	cp $(MODEL)/codec/losses.png .github/codec_losses.png

# Songs, latents, denoiser, estimators, export, on the codec in the package, or on CODEC=model/codec of the target before.
# SHEETS='openewld.zip Lieder/scores' lets the estimators learn from MusicXML scores, too, each as often. The README of
# samuel_train says what it costs, and what to set without a GPU.
default-model: .venv-dev/.synth ## songs, latents, denoiser, estimators, export: a bundle like the packaged one
	.venv-dev/bin/samuel-train synthesize --output $(MODEL)/stems --songs $(SONGS) --seed 0 --duration-s 47.55
	.venv-dev/bin/samuel-train prepare $(MODEL)/stems --out $(MODEL)/latents --codec $(CODEC) --varispeed -3,3
	.venv-dev/bin/samuel-train fit $(MODEL)/latents --out $(MODEL)/run $(FIT_BUDGET) --batch $(FIT_BATCH) \
		$(if $(wildcard $(MODEL)/run/last/state.pt),--resume,--config samuel_train/default.toml)
	.venv-dev/bin/samuel-train listen --out $(MODEL)/listen $(LISTEN_BUDGET) --voices $(MODEL)/stems \
		$(SHEETS:%=--sheets %) $(if $(wildcard $(MODEL)/listen/training.pt),--resume)
	.venv-dev/bin/samuel-train listen --chords --out $(MODEL)/chords $(LISTEN_BUDGET) --voices $(MODEL)/stems \
		$(SHEETS:%=--sheets %) $(if $(wildcard $(MODEL)/chords/training.pt),--resume)
	.venv-dev/bin/samuel-export $(MODEL)/run/checkpoint.safetensors --output samuel_runtime/assets/bundle \
		--codec $(CODEC) --estimator $(MODEL)/listen/estimator.safetensors \
		--estimator $(MODEL)/chords/estimator.safetensors --weights int8 --licence MIT \
		--steps 12 --guidance 3 --guided-down-to 300 --side-gain-db 0.9 --peak-ceiling 1.4
	cp $(MODEL)/run/losses.png .github/denoiser_losses.png

clean: ## remove environments, builds and outputs
	rm -rf .venv .venv-dev demo $(MODEL) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
