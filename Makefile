# Entry points for building, running and testing; see `make help`.
.DEFAULT_GOAL := help
.PHONY: help soak fuzz test-fresh run build verify test e2e-backends coverage lint format images image-names release e2e chaos manifests stack stack-images up down bench dashboards screenshots clean
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# address (with undefined behaviour) or thread: run the C++ tests under that sanitizer.
SANITIZE ?=
# URL of a collector: make run also exports spans to it.
OTLP ?=
# bookworm or trixie: make test-fresh tests only this release.
DEBIAN ?=

preset.         := release
preset.address  := asan
preset.thread   := tsan
PRESET := $(preset.$(SANITIZE))
ifeq ($(PRESET),)
$(error SANITIZE=$(SANITIZE) is unknown; allowed: address, thread)
endif
BUILD := build/$(PRESET)
# Created with Debian's Python, whatever comes first in PATH.
PYTHON := build/venv/bin/python

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and run the three services; OTLP=http://host:4318 also exports spans
	@tools/setup.sh
	@$(MAKE) build TESTS=OFF TARGETS=services
	@exec /usr/bin/python3 tools/run.py $(if $(OTLP),--otlp $(OTLP))

TARGETS ?= all
TESTS ?= ON
build: ## Build everything; SANITIZE=address|thread
	@[ -f $(BUILD)/build.ninja ] && { [ $(TESTS) = OFF ] || grep -qx DICE_TESTS:BOOL=ON $(BUILD)/CMakeCache.txt; } || \
	  cmake --preset $(PRESET) $(if $(filter ON,$(TESTS)),-DDICE_TESTS=ON) >/dev/null
	@NINJA_STATUS='[%f/%t] ' cmake --build $(BUILD) --target $(TARGETS) | tools/progress.sh

verify: ## Check that the telemetry of the services started by make run arrives
	@tools/setup.sh
	@$(MAKE) build TESTS=OFF TARGETS=loadgen
	@$(BUILD)/bin/loadgen verify

test: ## Run all tests; SANITIZE=address|thread: the C++ tests under that sanitizer
	@tools/setup.sh test
	@$(MAKE) build
	@$(if $(SANITIZE),,$(MAKE) $(PYTHON) go-tools)
	@tests/run.sh $(BUILD) $(if $(SANITIZE),cpp,all)

e2e-backends: ## Run verify against a Collector, Loki, Prometheus and Tempo, if they are installed
	@tools/setup.sh test
	@$(MAKE) build TESTS=OFF TARGETS="services loadgen"
	@$(MAKE) $(PYTHON)
	@DICE_BIN=$(CURDIR)/$(BUILD)/bin $(PYTHON) -m pytest -q -rs -p no:cacheprovider tests/backends

# Built before the tests that use them, because building takes minutes. Without Go or network, those tests are skipped.
.PHONY: go-tools
go-tools:
	@tools/go-tool.sh helm >/dev/null || true
	@command -v kubectl >/dev/null || tools/go-tool.sh kustomize >/dev/null || true

$(PYTHON): tests/requirements.txt
	@echo "Installing the packages in tests/requirements.txt into build/venv"
	@/usr/bin/python3 -m venv build/venv
	@build/venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

test-fresh: ## Test the README's first commands in fresh containers; DEBIAN=bookworm|trixie: only that release
	@/usr/bin/python3 tests/fresh/fresh.py $(DEBIAN)

soak: ## Test hostile clients and shutdown under sanitizers; takes an hour
	@tools/setup.sh test
	@$(MAKE) build
	@/usr/bin/python3 tests/soak/soak.py $(BUILD)/bin
	@/usr/bin/python3 tests/soak/canary.py $(BUILD)/bin
	@$(MAKE) build SANITIZE=address && STOP_ROUNDS=50 tests/run.sh build/asan stops
	@$(MAKE) build SANITIZE=thread && STOP_ROUNDS=20 tests/run.sh build/tsan stops

SECONDS ?= 60
fuzz: ## Fuzz every parser for SECONDS (60) each
	@tools/setup.sh fuzz
	@[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
	@NINJA_STATUS='[%f/%t] ' cmake --build build/fuzz --target fuzz-programs | tools/progress.sh
	@tests/fuzz/run.sh build/fuzz $(SECONDS)

coverage: ## Measure the line coverage of services/ by the C++ tests
	@tools/setup.sh test lint
	@cmake --preset coverage -DDICE_TESTS=ON >/dev/null && cmake --build build/coverage | tools/progress.sh
	@find build/coverage -name '*.gcda' -delete
	@tests/run.sh build/coverage cpp
	@/usr/bin/gcovr --root . --filter services/ --object-directory build/coverage --print-summary --sort-uncovered

lint: ## Check formatting, run clang-tidy and shellcheck
	@tools/setup.sh test lint
	@tests/lint.sh

format: ## Format the C++ code in place
	@tools/setup.sh lint
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

VERSION = $$(awk '$$1 == "version:" { print $$2 }' charts/dice/Chart.yaml)
images: ## Build the container images of the services and of loadgen
	@for image in $$($(MAKE) image-names); do \
	  echo "$$image"; \
	  program=$${image#dice/}; \
	  tools/docker-build.sh --target $${program%:*} --tag $$image \
	    --build-arg VERSION=$(VERSION) --build-arg COMMIT=$$(git rev-parse --short=12 HEAD); \
	done

image-names: ## Print the names and tags of the images
	@sed -n 's|^FROM base AS \(.*\)|dice/\1:'"$(VERSION)"'|p' Dockerfile

REGISTRY ?=
release: ## Build and push images (amd64, arm64), bills of materials and the chart; REGISTRY=… VERSION=…
	@$(MAKE) $(PYTHON)
	@$(PYTHON) tools/release.py "$(REGISTRY)" "$(VERSION)"

e2e: ## Run the cluster tests, if there is a kind cluster
	@tools/setup.sh test
	@$(MAKE) $(PYTHON)
	@tests/cluster/run.sh

chaos: ## Run the long cluster tests: drained and killed nodes, scaling, shared load, faults of the pipeline
	@tools/setup.sh test
	@$(MAKE) $(PYTHON)
	@tests/cluster/run.sh tests/cluster/chaos

manifests: ## Render kustomize/base from the chart
	@text=$$(kustomize/render.sh) && printf '%s\n' "$$text" >kustomize/base/dice.yaml

stack: ## Install Prometheus, Grafana, Loki, Tempo and the Collector on kubectl's cluster; see stack/README.md
	@stack/install.sh

stack-images: ## Save the stack's images and charts in build/stack, and load them into the kind cluster dice
	@stack/images.sh

up: ## Start everything on this machine: a kind cluster, the stack, the chart, the page and Grafana
	@stack/up.sh

down: ## Remove everything created by make up
	@stack/up.sh down

bench: ## Run the benchmarks in docs/benchmarks.md
	@tools/setup.sh test
	@$(MAKE) build
	@/usr/bin/python3 bench/run.py $(BUILD)/bin

dashboards: ## Regenerate the dashboards and their pictures; takes 7 minutes
	@tools/setup.sh test
	@$(MAKE) build
	@$(MAKE) $(PYTHON)
	@/usr/bin/python3 charts/dice/dashboards/dashboards.py
	@DICE_BIN=$(BUILD)/bin $(PYTHON) tests/dashboards/draw.py

screenshots: ## Draw the page for the docs and, in build/artifacts, all its states; print what a first visit costs
	@tools/setup.sh test
	@$(MAKE) build TESTS=OFF TARGETS=services
	@$(MAKE) $(PYTHON)
	@DICE_BIN=$(CURDIR)/$(BUILD)/bin $(PYTHON) tests/browser/screenshots.py

clean: ## Remove build/
	@rm -rf build
