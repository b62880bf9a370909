.DEFAULT_GOAL := help
.PHONY: help demo test drift check own-tests faults mutants format environments copier initial-migration reference readme pictures bench docs release clean

HOUSE := {{cookiecutter.project_slug}}
BUILD := $(CURDIR)/build
TOOLS := $(BUILD)/tools/bin
PORT := 8000
# On two cores: tests that start services spend half of their time waiting.
WORKERS := 3
SEED := 11
COUNT := 300
MINUTES := 20

# uv is used if installed, and otherwise fetched into build/.
export PATH := $(BUILD)/uv/bin:$(PATH)
# No cache may be in the template's tree: cookiecutter renders everything there.
export UV_PROJECT_ENVIRONMENT := $(BUILD)/tools
export PYTHONPYCACHEPREFIX := $(BUILD)/pycache
export PYTHONDONTWRITEBYTECODE :=
export RUFF_CACHE_DIR := $(BUILD)/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(BUILD)/hypothesis
export VIRTUAL_ENV :=

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

demo: build/tools  ## Generate a service and run it: make demo ANSWERS="database=mysql" PORT=8000
	rm -rf build/demo
	"$(TOOLS)/cookiecutter" . --no-input --output-dir build project_name=Demo $(ANSWERS)
	cd build/demo && env -u UV_PROJECT_ENVIRONMENT -u PYTHONPYCACHEPREFIX uv run app dev --port $(PORT)

test: environments  ## Run all tests (TEST_POSTGRES_URL, TEST_MYSQL_URL, TEST_REDIS_URL, TEST_AMQP_URL name servers; REQUIRE_SERVERS=1 requires them; SHARD=2/4 runs a part, NIGHTLY=1 more)
	@# Not in pytest's own folder, which the suites of the generated projects close to other users,
	@# such as the one that an embedded PostgreSQL runs as when root tests.
	@folder=$$(mktemp -d) && { "$(TOOLS)/pytest" -n $(WORKERS) --dist loadgroup --basetemp="$$folder/t" --junitxml="$(BUILD)/junit.xml" $(if $(SHARD),--shard "$(SHARD)") $(PYTEST); status=$$?; rm -rf "$$folder"; exit $$status; }

drift: build/tools  ## Test with today's packages on each Python: make drift PYTHONS="3.13 /usr/bin/python3.14"
	"$(TOOLS)/python" -m tools.drift $(PYTHONS)

check: environments  ## Check the template: style, spelling, types, guards, structure, generated files
	"$(TOOLS)/pytest" -q -n 2 tests/test_in_place.py tests/test_words.py

own-tests: environments  ## Run the tests of the template's own tree, with every option on
	cd "$(HOUSE)" && DATA_DIR="$(BUILD)/data" PATH="$(BUILD)/house/bin:$$PATH" "$(BUILD)/house/bin/pytest" -q -p no:cacheprovider -n 2

faults: environments  ## Bring known faults into copies of the template, and see which test notices each (WORD=celery selects)
	"$(TOOLS)/python" -m tools.try_faults $(WORD)

mutants: environments build/mutants  ## Change the code at random, and see whether a test fails (SEED, COUNT, MINUTES for each of two parts)
	"$(TOOLS)/python" -m tools.mutants template --seed $(SEED) --count $(COUNT) --minutes $(MINUTES)
	"$(TOOLS)/python" -m tools.mutants core --seed $(SEED) --count $(COUNT) --minutes $(MINUTES)

format: environments  ## Format, and write the generated files
	"$(TOOLS)/ruff" check --fix .
	"$(TOOLS)/ruff" format .
	cd "$(HOUSE)" && "$(BUILD)/house/bin/ruff" check --fix . && "$(BUILD)/house/bin/ruff" format .
	$(MAKE) copier initial-migration reference readme

copier: environments  ## Write copier.yml from cookiecutter.json
	"$(TOOLS)/python" tools/write_copier.py

initial-migration: environments  ## Write the template's first migration from its models
	PATH="$(BUILD)/house/bin:$(PATH)" "$(BUILD)/house/bin/python" tools/write_initial_migration.py

reference: environments  ## Write docs/reference and docs/drawings from the template's code
	"$(TOOLS)/python" -m tools.reference

readme: environments  ## Write the tables of README, its badges and this repository's address
	"$(TOOLS)/python" tools/write_readme.py

pictures: environments  ## Make the pictures of README from a real run (needs Chromium); look at them
	"$(TOOLS)/python" -m tools.write_pictures

bench: environments  ## Measure, and write docs/performance.md and what README quotes of it (TEST_POSTGRES_URL, TEST_REDIS_URL, TEST_MYSQL_URL if wanted, wrk; QUICK=1 only tries it), then two comparisons
	"$(TOOLS)/python" -m benchmarks.load $(if $(QUICK),--quick)
	"$(TOOLS)/python" tools/write_readme.py
	"$(TOOLS)/python" -m benchmarks.login_timing $(if $(QUICK),--rounds 5)
	"$(TOOLS)/python" -m benchmarks.tenancy_cost $(if $(QUICK),--rounds 100)

docs: build/tools  ## Build the documentation into site/
	uv run --group docs zensical build --strict

release: environments  ## Make a release, without publishing it: make release VERSION=1.2.3 (OWNER=us where the repository is)
	@"$(TOOLS)/python" tools/release.py "$(VERSION)" $(if $(OWNER),--owner "$(OWNER)")

environments: build/tools build/house

# What failed half-way is removed, so that the next attempt starts again.
FAILED = { rm -rf $@; exit 1; }

# The tools of this repository.
build/tools: pyproject.toml | build/uv
	uv sync || $(FAILED)
	@touch $@

# The dependencies of the template's own tree, run unrendered.
build/house: $(HOUSE)/pyproject.toml | build/uv
	uv venv --clear $@
	(cd "$(HOUSE)" && VIRTUAL_ENV="$(BUILD)/house" uv pip install --editable . --group dev) || $(FAILED)
	@touch $@

# The same, and what records which tests execute which lines.
build/mutants: $(HOUSE)/pyproject.toml | build/uv
	uv venv --clear $@
	(cd "$(HOUSE)" && VIRTUAL_ENV="$(BUILD)/mutants" uv pip install --editable . --group dev pytest-cov) || $(FAILED)
	@touch $@

build/uv:
	@mkdir -p build
	@command -v uv >/dev/null || { python3 -m venv build/uv && build/uv/bin/pip install --quiet uv==0.13.8; }
	@mkdir -p build/uv

clean:  ## Remove build artifacts
	rm -rf build site
