# The front door. `make help` explains itself.
.DEFAULT_GOAL := help
.PHONY: help soak test-fresh run build verify test e2e-backends coverage lint format images image-names release e2e manifests stack stack-images up down bench dashboards clean
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# address (with undefined behaviour) or thread: the C++ tests under that sanitizer.
SANITIZE ?=
# A collector's address: make run also exports there.
OTLP ?=
# bookworm or trixie: make test-fresh tries that one alone.
DEBIAN ?=

preset.         := release
preset.address  := asan
preset.thread   := tsan
PRESET := $(preset.$(SANITIZE))
ifeq ($(PRESET),)
$(error SANITIZE=$(SANITIZE) is unknown; allowed: address, thread)
endif
BUILD := build/$(PRESET)
# Debian's, whatever else is first in PATH.
PYTHON := build/venv/bin/python

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and run the three services here; OTLP=http://host:4318 also exports
	@tools/setup.sh
	@$(MAKE) build TESTS=OFF TARGETS="contract-json die-service dice-roller frontend"
	@exec /usr/bin/python3 tools/run.py $(if $(OTLP),--otlp $(OTLP))

TARGETS ?= all
TESTS ?= ON
build: ## Build everything; SANITIZE=address|thread
	@[ -f $(BUILD)/build.ninja ] && { [ $(TESTS) = OFF ] || grep -qx DICE_TESTS:BOOL=ON $(BUILD)/CMakeCache.txt; } || \
	  cmake --preset $(PRESET) $(if $(filter ON,$(TESTS)),-DDICE_TESTS=ON) >/dev/null
	@NINJA_STATUS='[%f/%t] ' cmake --build $(BUILD) --target $(TARGETS) | tools/progress.sh

verify: ## Prove that the telemetry of what make run runs arrives
	@tools/setup.sh
	@$(MAKE) build TESTS=OFF TARGETS=loadgen
	@$(BUILD)/bin/loadgen verify

test: ## All tests; SANITIZE=address|thread: the C++ ones under that sanitizer
	@tools/setup.sh test
	@$(MAKE) build
	@$(if $(SANITIZE),,$(MAKE) $(PYTHON) go-tools)
	@tests/run.sh $(BUILD) $(if $(SANITIZE),cpp,all)

e2e-backends: ## verify against a Collector, Loki, Prometheus and Tempo, as far as they are installed
	@tools/setup.sh test
	@$(MAKE) build TESTS=OFF TARGETS="contract-json die-service dice-roller frontend loadgen"
	@$(MAKE) $(PYTHON)
	@DICE_BIN=$(CURDIR)/$(BUILD)/bin $(PYTHON) -m pytest -q -rs -p no:cacheprovider tests/backends

# Those of the tests, before them, since building one takes minutes. A machine without Go and network goes on and skips.
.PHONY: go-tools
go-tools:
	@tools/go-tool.sh helm >/dev/null || true
	@command -v kubectl >/dev/null || tools/go-tool.sh kustomize >/dev/null || true

$(PYTHON): tests/requirements.txt
	@echo "Installing what tests/requirements.txt lists into build/venv"
	@/usr/bin/python3 -m venv build/venv
	@build/venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

test-fresh: ## The README's first commands in untouched containers; DEBIAN=bookworm|trixie: one of the two
	@/usr/bin/python3 tests/fresh/fresh.py $(DEBIAN)

soak: ## Bad neighbours: clients that leave, read nothing or are too many; stops under sanitizers; an hour
	@tools/setup.sh test
	@$(MAKE) build
	@/usr/bin/python3 tests/soak/soak.py $(BUILD)/bin
	@$(MAKE) build SANITIZE=address && STOP_ROUNDS=50 tests/run.sh build/asan stops
	@$(MAKE) build SANITIZE=thread && STOP_ROUNDS=20 tests/run.sh build/tsan stops

coverage: ## Line coverage of services/ by the C++ tests
	@tools/setup.sh test lint
	@cmake --preset coverage -DDICE_TESTS=ON >/dev/null && cmake --build build/coverage | tools/progress.sh
	@find build/coverage -name '*.gcda' -delete
	@tests/run.sh build/coverage cpp
	@/usr/bin/gcovr --root . --filter services/ --object-directory build/coverage --print-summary --sort-uncovered

lint: ## Formatting, clang-tidy, shellcheck
	@tools/setup.sh test lint
	@tests/lint.sh

format: ## Format the C++ in place
	@tools/setup.sh lint
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

VERSION = $$(awk '$$1 == "version:" { print $$2 }' charts/dice/Chart.yaml)
images: ## The container images dice/frontend, dice/dice-roller, dice/die-service, dice/loadgen
	@for image in $$($(MAKE) image-names); do \
	  echo "$$image"; \
	  program=$${image#dice/}; \
	  tools/docker-build.sh --target $${program%:*} --tag $$image \
	    --build-arg VERSION=$(VERSION) --build-arg COMMIT=$$(git rev-parse --short=12 HEAD); \
	done

image-names: ## Their names and tags
	@printf 'dice/%s:'"$(VERSION)"'\n' die-service dice-roller frontend loadgen

REGISTRY ?=
release: ## Images for amd64 and arm64, bills of materials and the chart, pushed; REGISTRY=… VERSION=…
	@$(MAKE) $(PYTHON)
	@$(PYTHON) tools/release.py "$(REGISTRY)" "$(VERSION)"

e2e: ## The tests on a kind cluster, where there is one
	@tools/setup.sh test
	@$(MAKE) $(PYTHON)
	@tests/cluster/run.sh

manifests: ## Render kustomize/base from the chart
	@text=$$(kustomize/render.sh) && printf '%s\n' "$$text" >kustomize/base/dice.yaml

stack: ## Prometheus, Grafana, Loki, Tempo and the Collector on kubectl's cluster; variables in stack/install.sh
	@stack/install.sh

stack-images: ## Their images and charts into build/stack, and into the kind cluster dice
	@stack/images.sh

up: ## All of it on this machine: a kind cluster, the stack, the chart, the page and Grafana
	@stack/up.sh

down: ## Remove what make up made
	@stack/up.sh down

bench: ## The measurements in docs/benchmarks.md
	@tools/setup.sh test
	@$(MAKE) build
	@/usr/bin/python3 bench/run.py $(BUILD)/bin

dashboards: ## Write the dashboards and their pictures anew; takes 6 minutes
	@tools/setup.sh test
	@$(MAKE) build
	@$(MAKE) $(PYTHON)
	@/usr/bin/python3 charts/dice/dashboards/dashboards.py
	@DICE_BIN=$(BUILD)/bin $(PYTHON) tests/dashboards/draw.py

clean: ## Remove build/
	@rm -rf build
