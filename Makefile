# Two commands: `make demo` and `make test`. Each makes what it needs; a second run is fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export CMAKE_BUILD_PARALLEL_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test bench torture fuzz interop mosquitto faketime chromium clean

demo: $(VENV)/.demo
	$(BIN)/sceneshift demo

test: $(VENV)/.test mosquitto faketime chromium
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

mosquitto:
	@if command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq mosquitto; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq mosquitto; \
	else \
		echo "*** mosquitto is missing and cannot be installed by you: the tests on a real broker are SKIPPED ***"; \
	fi

faketime:
	@if command -v faketime >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq faketime; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq faketime; \
	else \
		echo "*** faketime is missing and cannot be installed by you: the test of a kernel's clock that jumps is SKIPPED ***"; \
	fi

chromium:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq chromium; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq chromium; \
	else \
		echo "*** chromium is missing and cannot be installed by you: the tests of the page in a browser are SKIPPED ***"; \
	fi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
