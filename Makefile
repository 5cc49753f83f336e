# Two commands: `make demo` and `make test`. Each makes what it needs; a second run is fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export CMAKE_BUILD_PARALLEL_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test bench torture fuzz interop mosquitto tools clean

demo: $(VENV)/.demo
	$(BIN)/sceneshift demo

test: $(VENV)/.test tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

bench: $(VENV)/.test mosquitto
	$(BIN)/python -m benchmarks

# The agent killed a thousand times, at any moment and at the worst, with a real broker: an hour.
torture: $(VENV)/.test mosquitto
	$(BIN)/python -m benchmarks.torture --kills 1000 --json benchmarks/torture.json

# Every parser of bytes from outside, a minute each; `fuzz/__main__.py` says how to go on for longer.
fuzz: $(VENV)/.test
	$(BIN)/python -m fuzz all

# Beside others' programs: two Home Assistants (3.11, 3.13), installed once into .cache/interop, and what firmware is
# validated with. Minutes; not part of `make test`.
interop: $(VENV)/.test mosquitto
	$(BIN)/pytest tests/interop

# llama-cpp-python is compiled from source: about four minutes on two cores.
$(VENV)/.demo: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing; llama.cpp is compiled, which takes some minutes the first time"
	$(BIN)/pip install --quiet --editable ".[llm,demo,web,history]"
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[llm,demo,web,history,trainer,cluster,dev]"
	@touch $@

# What tests use that pip does not have: $(call have,COMMANDS any of which will do,DEBIAN PACKAGE,WHAT IS SKIPPED WITHOUT)
define have
	@for each in $(1); do command -v $$each >/dev/null || test -x /usr/sbin/$$each && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq $(2); \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq $(2); \
	else \
		echo "*** $(2) is missing and cannot be installed by you: $(3) are SKIPPED ***"; \
	fi
endef

mosquitto:
	$(call have,mosquitto,mosquitto,the tests on a real broker)

tools: mosquitto
	$(call have,chromium chromium-browser google-chrome,chromium,the tests of the page in a browser)
	$(call have,faketime,faketime,the tests of a kernel's clock that jumps)
	$(call have,strace,strace,the tests of what leaves the house)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
