# Start with `make run` and `make test`. Requires Python 3.11 or newer; everything else is installed into .venv.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
SYNAPSE := $(VENV)/synapse
CLIENTS := $(VENV)/clients
CODE := accounts chatapi hooks instances testing_tools tests manage.py
COMPILE := $(PY) -m compileall -q $(filter-out tests,$(CODE))

.DEFAULT_GOAL := help
.PHONY: help install wheel run test check bench soak screens lock vendor format debian

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

# The user that runs the product cannot write into this folder if it is root's, and what `manage.py up` writes while it is
# root no other user can read: each of its processes would compile the code again.
install: $(VENV)/ready ## install the packages, for a server (docs/install.md)
	@$(COMPILE)

wheel: $(VENV)/ready ## build the wheel in dist/ (docs/install.md)
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

run: $(VENV)/ready ## start everything, and print the URL and a login when it is ready
	@test "$$(id -u)" != 0 || $(COMPILE) || true
	@exec $(PY) manage.py up

test: $(VENV)/tests-ready $(SYNAPSE)/ready $(CLIENTS)/ready node_modules/ready debian ## run the tests (some of them: TESTS="tests/hooks -k retry")
	@$(PY) -m pytest $(TESTS)

check: $(VENV)/tests-ready $(CLIENTS)/ready node_modules/ready ## check style, types, layers, migrations, templates, JS and CSS, and the API schema
	@$(PY) -m chatapi.quality

format: $(VENV)/tests-ready node_modules/ready ## format code, templates, JS and CSS
	@$(VENV)/bin/ruff check --fix --quiet $(CODE); $(VENV)/bin/ruff format --quiet $(CODE)
	@find templates -name '*.html' -exec $(VENV)/bin/djade --target-version 5.2 {} +
	@node_modules/.bin/biome check --write

bench: $(VENV)/tests-ready ## measure delivery, and write docs/performance.md (QUICK=1: only print, in two minutes)
	@$(PY) -m tests.bench $(if $(QUICK),--quick)

soak: $(VENV)/tests-ready ## run hooks under load, failures and kills (MINUTES=10), and show memory and dead rows
	@$(PY) -m tests.soak --minutes $(or $(MINUTES),10)

screens: $(VENV)/tests-ready ## take the screenshots in docs/screens
	@$(PY) -m tests.screens

lock: ## pin requirements*.in in requirements*.lock and package.json in package-lock.json, with hashes
	@$(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check pip-tools
	@for part in requirements requirements-tests requirements-synapse requirements-clients; do $(VENV)/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
		--no-annotate --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file $$part.lock $$part.in || exit 1; done
	@npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --silent

vendor: $(VENV)/tests-ready ## compare static/vendor with the packages on npm, and renew its files and hashes
	@$(PY) -m chatapi.quality.vendored --renew

# Rebuilt only when the lock file has changed. An incomplete .venv has no `ready` file. `make run` installs no tools for tests.
$(VENV)/ready: requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is required (PYTHON=/path/to/python make run)."; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is required (Debian: apt-get install python3-venv)."; exit 1; }
	@echo "Installing the packages of requirements.lock into $(VENV) (once)."
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	@touch $@

$(VENV)/tests-ready: $(VENV)/ready requirements-tests.lock
	@echo "Installing the packages of requirements-tests.lock into $(VENV) (once)."
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-tests.lock
	@touch $@

# Synapse, the Matrix homeserver of the tests, pins other versions than the product. If it cannot be installed, only its tests fail.
$(SYNAPSE)/ready: requirements-synapse.lock
	@test -x $(SYNAPSE)/bin/python || $(PYTHON) -m venv $(SYNAPSE)
	@echo "Installing the packages of requirements-synapse.lock into $(SYNAPSE) (once)."
	@$(SYNAPSE)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-synapse.lock \
		&& touch $@ || echo "Synapse could not be installed; the tests of the Matrix channel that need it will fail."

# What reads the OpenAPI document pins other versions than the tests.
$(CLIENTS)/ready: requirements-clients.lock
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@echo "Installing the packages of requirements-clients.lock into $(CLIENTS) (once)."
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-clients.lock
	@touch $@

# biome, which checks JS and CSS, and the generator of TypeScript clients are npm packages. Without Node.js this prints
# what is missing and does not stop make: other checks and tests run, and these fail.
node_modules/ready: package-lock.json
	@command -v npm >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& echo "Installing nodejs npm for the checks of JS and CSS, and for tests (once)." \
		&& apt-get update -qq >/dev/null \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; } \
		|| echo "Node.js with npm is missing, and JS and CSS cannot be checked (as root: apt-get install nodejs npm)."
	@! command -v npm >/dev/null || { echo "Installing the packages of package-lock.json into node_modules (once)." \
		&& npm ci --silent --no-audit --no-fund && touch $@; } \
		|| echo "npm could not install the packages; JS and CSS cannot be checked, and tests of clients will fail."

# Besides Python, the tests need a browser, three proxies, etcd, a connection pooler, the runtimes of docs/receivers,
# HTTPie, age, jq, an XMPP server, networks of their own, systemd with D-Bus and mmdebstrap, all from Debian. Another
# Node.js works too.
debian:
	@missing=""; \
	want() { test -n "$$2" || missing="$$missing $$1"; }; \
	want chromium "$$(command -v chromium)"; \
	want nginx-light "$$(command -v nginx || ls /usr/sbin/nginx 2>/dev/null)"; \
	want caddy "$$(command -v caddy)"; \
	want haproxy "$$(command -v haproxy || ls /usr/sbin/haproxy 2>/dev/null)"; \
	want etcd-server "$$(command -v etcd)"; \
	want etcd-client "$$(command -v etcdctl)"; \
	want pgbouncer "$$(command -v pgbouncer || ls /usr/sbin/pgbouncer 2>/dev/null)"; \
	want php-cli "$$(command -v php)"; \
	want node-express "$$(command -v node >/dev/null && ls -d /usr/share/nodejs/express 2>/dev/null)"; \
	want default-jdk-headless "$$(command -v javac)"; \
	want httpie "$$(command -v http)"; \
	want age "$$(command -v age)"; \
	want libgoogle-gson-java "$$(ls /usr/share/java/gson.jar 2>/dev/null)"; \
	want prosody "$$(command -v prosody)"; \
	want jq "$$(command -v jq)"; \
	want iproute2 "$$(command -v ip >/dev/null && command -v bridge)"; \
	want systemd "$$(command -v systemd-analyze)"; \
	want dbus "$$(command -v dbus-daemon)"; \
	want mmdebstrap "$$(command -v mmdebstrap)"; \
	want prometheus "$$(command -v promtool)"; \
	test -z "$$missing" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& echo "Installing$$missing for the tests (once)." \
		&& apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } \
		|| echo "Missing packages:$$missing. The tests that need them will fail. Install them as root: apt-get install$$missing"
