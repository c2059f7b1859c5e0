# `make run` needs nothing but Python 3.11 or newer.
.DEFAULT_GOAL := run
.PHONY: run stop status test lint texts bench bench-search bench-ingest clean

PYTHONS := python3.14 python3.13 python3.12 python3.11 python3
BIN := .venv/bin

# The first interpreter that is new enough; a name on the path may be a shim that only prints an error, so each is tried.
define bootstrap
@$(BIN)/python -IS deploy/bootstrap.py --check $(1) 2>/dev/null || { \
  for python in $(PYTHONS); do \
    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
      exec $$python deploy/bootstrap.py $(1); \
    fi; \
  done; \
  echo "Python 3.11 or newer is needed and none was found: install one (Debian: apt install python3 python3-venv) and start again." >&2; \
  exit 1; }
endef

run:
	$(call bootstrap,embedded)
	@$(BIN)/python -m owui.embedded run

stop:
	@$(BIN)/python -m owui.embedded stop

status:
	@$(BIN)/python -m owui.embedded status

test:
	$(call bootstrap,embedded dev)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint:
	$(call bootstrap,embedded dev)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/djlint --check --quiet .

# Collects what is to be translated into locale/ and compiles the catalogues.
texts:
	$(call bootstrap,embedded dev)
	@DATABASE_URL= $(BIN)/python manage.py texts $(ARGS)

bench:
	$(call bootstrap,embedded dev)
	$(BIN)/python -m tests.bench $(ARGS)

bench-search:
	$(call bootstrap,embedded dev)
	$(BIN)/python -m tests.bench.search $(ARGS)

bench-ingest:
	$(call bootstrap,embedded dev)
	$(BIN)/python -m tests.bench.ingest $(ARGS)

# Keeps var/, where the data lies.
clean:
	rm -rf .venv staticfiles build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
