# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
BIN := .venv/bin
PYTEST_ARGS ?=

.PHONY: help setup demo clean test test-pythons test-node lint format crds docs golden chart licences images base-image \
  bench-gate bench-scale bench-tick bench-render bench-physics bench-encode bench-vram bench-gallery bench-export bench-gpu

# A line with `##@` begins a group, and `##` behind a target is what it does.
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ First steps
setup: ## Install what everything needs
	@tools/setup

demo: setup ## Render five clips and encode them, into demo-output/
	@$(BIN)/clipfarm local examples/demo.yaml --output demo-output
	@$(BIN)/clipfarm verify demo-output
	@echo "Look at demo-output/clip_00000/preview.gif"

clean: ## Remove what was built and rendered here
	rm -rf .venv demo-output build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

##@ Tests and style
test: ## Run all tests except those on a real node
	@tools/setup test
	@# Four processes: those that drive a control plane compute for half of the time. In the order of tests/conftest.py.
	@$(BIN)/pytest -n 4 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

test-pythons: ## Test contract and encoder on Python 3.12 and 3.13, with NumPy 2
	@tools/test-pythons

test-node: ## Run clipfarm from its chart and images on this machine as a node (root; 37 GB, half an hour the first time)
	@tools/setup node
	@$(BIN)/pytest tests/node $(PYTEST_ARGS)

lint: setup ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Put the code into its standard form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

##@ Generated files, which tests compare with what they are made from
crds: setup ## Make crds/ and the copy of it in the chart, from the types of a run
	@$(BIN)/python -m clipfarm.crd > crds/benchmarkruns.clipfarm.dev.yaml
	@cp crds/benchmarkruns.clipfarm.dev.yaml charts/clipfarm/files/

docs: setup ## Make docs/cli.md, and the tables of docs/run.md, docs/experiments.md and docs/troubleshooting.md, from the code
	@$(BIN)/python -m clipfarm.crd.reference docs/run.md docs/troubleshooting.md docs/experiments.md
	@$(BIN)/python tools/cli-reference

golden: setup ## Make tests/golden/, the objects that each example becomes
	@$(BIN)/python tests/golden/make.py

chart: crds ## Make tests/golden/chart/, what the chart renders (needs Go, which builds helm)
	@$(BIN)/python tests/golden/chart/make.py

licences: setup ## Make docs/licences.md from the lock file
	@$(BIN)/python tools/licences

##@ Images
images: ## Build the container images, and a bill of materials of each in build/sbom/; tools/images --help says how to load them into a cluster
	@tools/images

base-image: ## Pin the images' base by the digest that its tag has now on Docker Hub
	@tools/images --pin

##@ Benchmarks; their history is in bench/RESULTS.md
bench-gate: setup ## Measure what the gate costs, on a control plane (fifteen minutes on two idle cores)
	@$(BIN)/python bench/gate.py

bench-scale: setup ## Measure the operator with 10,000 clips, 500 at a time
	@$(BIN)/python bench/gate.py --scale

bench-tick: setup ## Measure what a tick with 30 runs on 400 GPUs costs the processor (half a minute)
	@$(BIN)/python bench/tick.py

bench-render: setup ## Measure the renderer: speed, quality, memory (fifteen minutes on two idle cores)
	@$(BIN)/python bench/render.py

bench-physics: setup ## Compare the physics with its labels, and draw docs/images/physics.png
	@$(BIN)/python bench/physics.py --plot docs/images/physics.png

bench-encode: setup ## Measure the encoder (a quarter of an hour on two cores)
	@$(BIN)/python bench/encode.py

bench-vram: setup ## Try the rules of GPU memory on simulated GPUs, and draw docs/images/vram-*.png (half an hour)
	@$(BIN)/python bench/vram_sim.py --plot docs/images

bench-gallery: setup ## Measure the gallery of 17,000 clips: making it, and opening it in a browser
	@tools/setup test
	@$(BIN)/python bench/gallery.py

bench-export: setup ## Measure how much memory exports of 17,000 clips take
	@tools/setup test
	@$(BIN)/python bench/export.py

bench-gpu: setup ## Measure all that needs a GPU (under eight minutes on one)
	@$(BIN)/python bench/on_gpu.py
