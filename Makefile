# Needs make and Python 3.11 or newer; everything else is fetched into this folder.
# What the targets do is written in requirements/environments.py and tests/run.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ENVIRONMENTS = $(PYTHON) requirements/environments.py
PROTOS = $(wildcard protos/*/*/*.proto protos/*/*/*/*.proto)
STUBS = libs/contracts/src
BENCH = single_predictions intake log_queries

.DEFAULT_GOAL := help
.PHONY: bench bench-peers chaos fuzz fuzz-api help python trace run replay rolling-restarts status test test-migrations test-postgres lint fmt protos lock clean verify-deploy dashboards manifests audit env images test-containers

help: ## List the targets
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 28

run: python ## Start the whole platform on http://127.0.0.1:8080 (WEIR_PORT, WEIR_HOME)
	@$(ENVIRONMENTS) sync run
	@.venv/bin/python -m weir_local

status: python ## Say which processes of the running platform are up
	@.venv/bin/python -m weir_local status

backup: python ## Save the log's database into one proven file: FILE=; the platform may run
	@$(ENVIRONMENTS) sync run
	@.venv/bin/python -m weir_local backup $(if $(FILE),"$(FILE)")

restore: python ## Restore what backup wrote: FILE=; ARGS=--force puts a database aside
	@test -n "$(FILE)" || { echo "Which backup? make restore FILE=…"; exit 1; }
	@$(ENVIRONMENTS) sync run
	@.venv/bin/python -m weir_local restore "$(FILE)" $(ARGS)

trace: python ## Show the newest prediction's trace, or that of ID=X-Trace-ID
	@.venv/bin/python -m weir_local trace $(ID)

test: python ## Run every test, with coverage
	@$(PYTHON) tests/run

test-%: python ## Run the tests of one part: gateway, inference, prediction_log, drift, training, libs
	@$(PYTHON) tests/run $*

test-migrations: python ## Migrate a million predictions up and down while others write and read
	@$(ENVIRONMENTS) sync prediction_log
	@cd services/prediction_log && WEIR_TEST_MIGRATION_ROWS=1000000 \
		../../.venvs/prediction_log/bin/python -m pytest -q -c ../../pyproject.toml tests/test_online_migrations.py

test-postgres: python ## Run the log's tests with another PostgreSQL: PROGRAMS=/usr/lib/postgresql/15/bin
	@test -x "$(PROGRAMS)/initdb" || { echo "Which PostgreSQL? make test-postgres PROGRAMS=directory of initdb"; exit 1; }
	@$(ENVIRONMENTS) sync prediction_log
	@cd services/prediction_log && WEIR_TEST_POSTGRES="$(PROGRAMS)" \
		../../.venvs/prediction_log/bin/python -m pytest -q -c ../../pyproject.toml .

lint: python ## Check style, types, imports between modules, contracts and generated code
	@PYTHON=$(PYTHON) tests/lint

dashboards: python ## Render dashboards and METRICS.md, and copy alerts and dashboards into the chart
	@$(ENVIRONMENTS) sync dev
	@PYTHONPATH=deploy/observability .venv/bin/python -m dashboards_source
	@.venv/bin/python deploy/observability/metrics_page.py
	@.venv/bin/python deploy/manifests/kustomization.py

manifests: python ## Write what is made from the chart: k8s/ and the table of values in its README
	@$(ENVIRONMENTS) sync dev
	@.venv/bin/python deploy/manifests/kustomization.py
	@.venv/bin/python deploy/manifests/values_table.py

env: python ## Make .env with passwords, keys, a certificate and a demo client for docker compose: ARGS=--help
	@$(ENVIRONMENTS) sync run
	@.venv/bin/python -m weir_local env $(ARGS)

images: python ## Build the services' images; SERVICES=training for the one that trains; BASE_IMAGE, VERSION
	@$(PYTHON) deploy/docker/build_images.py $(SERVICES)

test-containers: python ## Build the images, run and break the compose stack; needs Docker, or WEIR_TEST_STAND_INS=1
	@$(ENVIRONMENTS) sync dev prediction_log
	@.venv/bin/python -m pytest -q -c pyproject.toml tests/containers

verify-deploy: python ## Check chart, manifests, images' recipes, alerts and workflows, with no cluster: CHECKS=words
	@$(PYTHON) tests/deploy/verify $(CHECKS)

replay: python ## Send labelled texts through a platform and check the books: DATA=file ARGS=--own
	@$(ENVIRONMENTS) sync dev
	@.venv/bin/python tests/replay/replay.py $(DATA) $(ARGS)

bench: python ## Measure this machine: BENCH=single_predictions, intake, log_queries (all three by default), profile, edge, tokens, scheduler, quota, drift_quality, drift_throughput or drift_cost
	@$(ENVIRONMENTS) sync dev
	@for bench in $(BENCH); do .venv/bin/python tests/bench/$$bench.py $(ARGS) || exit 1; done

bench-peers: python ## Compare with LitServe, BentoML and MLServer, half an hour: ARGS=--quick for a rehearsal
	@$(ENVIRONMENTS) sync dev peer-litserve peer-bentoml peer-mlserver
	@.venv/bin/python tests/bench/peers.py $(ARGS)

fuzz: python ## Send 100,000 mutated bodies of the Open Inference Protocol through its codec, 5,000 to the gateway
	@$(ENVIRONMENTS) sync gateway
	@WEIR_TEST_FUZZED_BODIES=100000 WEIR_TEST_FUZZED_REQUESTS=5000 .venvs/gateway/bin/python -m pytest -q \
		-c pyproject.toml --timeout 3600 -k mutated services/gateway/tests/test_v2_codec.py services/gateway/tests/test_v2_routes.py

fuzz-api: python ## Send every route a thousand requests made from its description, about half an hour
	@$(ENVIRONMENTS) sync dev
	@WEIR_TEST_API_EXAMPLES=500 .venv/bin/python -m pytest -q -c pyproject.toml tests/security/test_api_as_described.py

chaos: python ## Kill processes at random, take PostgreSQL and the quota Redis away under traffic, compare the books
	@$(ENVIRONMENTS) sync dev
	@PYTHONPATH=tests .venv/bin/python -m chaos.ledger $(ARGS)
	@PYTHONPATH=tests .venv/bin/python -m chaos.outage
	@WEIR_TEST_QUOTA_STOPPED_SECONDS=60 .venv/bin/python -m pytest -q -c pyproject.toml \
		tests/chaos/test_quota_redis_stopped.py

rolling-restarts: python ## Replace every service under load, 10,000 requests: none may fail, and the books must agree
	@$(ENVIRONMENTS) sync dev
	@PYTHONPATH=tests .venv/bin/python -m lifecycle.rolling_restarts $(ARGS)

audit: python ## Look for known weaknesses in the locked packages of what is served; asks PyPI
	@$(ENVIRONMENTS) sync deploy
	@for set in gateway inference prediction_log drift local training; do \
		.venvs/deploy/bin/pip-audit --require-hashes --disable-pip --progress-spinner off \
			-r requirements/$$set.txt || exit 1; done

fmt: python ## Format and mend what can be mended
	@$(ENVIRONMENTS) sync dev
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format .

protos: python ## Generate the contracts' code from protos
	@$(ENVIRONMENTS) sync dev
	@.venv/bin/python -m grpc_tools.protoc -Iprotos --python_out=$(STUBS) --pyi_out=$(STUBS) $(PROTOS)
	@PATH="$$PWD/.venv/bin:$$PATH" python -m grpc_tools.protoc -Iprotos \
		--grpc_python_out=$(STUBS) --mypy_grpc_out=$(STUBS) $$(grep -l '^service ' $(PROTOS))

lock: python ## Resolve the locked requirements anew
	@$(ENVIRONMENTS) lock

clean: ## Remove environments, caches and results; the platform's state in .weir stays
	@rm -rf .venv .venvs .venv-uv .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

python:
	@test -n "$(PYTHON)" || { echo "Weir needs Python 3.11 or newer, and finds none."; exit 1; }
