# Two commands do everything: `make run` builds and starts the product on
# embedded defaults, `make test` checks all of it.
#
# With CI=true nothing may be left out: what is missing is a failure.

GO      ?= go
NPM     ?= npm
TOOLS   := $(CURDIR)/.tools
STATICCHECK_VERSION := v0.8.2
GOVULNCHECK_VERSION := v1.2.0

PAGE_SOURCES := $(shell find web/src web/public web/index.html web/vite.config.ts web/build.ts web/svelte.config.js web/tsconfig.json -type f 2>/dev/null)

# go test runs a short soak; continuous integration the whole one as well.
SOAK := $(if $(filter true,$(CI)),soak)

.PHONY: run build page test test-go test-web test-browser test-backends backends screenshots lint vuln bench soak fuzz clean

run: build
	./discord-cloud serve

build: page
	$(GO) build -trimpath -o discord-cloud .

page: web/dist/index.html

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && $(NPM) ci --no-audit --no-fund
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(PAGE_SOURCES)
	cd web && $(NPM) run --silent build -- --logLevel warn
	@touch $@

test: lint test-go test-web test-browser test-backends $(SOAK) vuln

# SQLite is C that was translated to Go, with a memory of its own, and pictures are
# decoded by one goroutine of a child process: watching those packages for races
# and pointers finds nothing of ours and takes four fifths of the time.
UNWATCHED := modernc.org/... image/... golang.org/x/image/... github.com/disintegration/imaging
RACE := -race $(foreach p,$(UNWATCHED),-gcflags='$(p)=-d=checkptr=0 -race=false')

test-go: page
	$(GO) test $(RACE) -timeout 15m ./...

test-web: web/node_modules/.package-lock.json
	cd web && $(NPM) run --silent check && $(NPM) test --silent

test-browser: build
	tools/with-chromium.sh $(NPM) --prefix web run --silent e2e

# The flows of the page and of the packets on other backends than SQLite: see
# docs/databases.md. Of a test run a few of them are a part, on two managers.
BACKENDS := bouncer supabase managers
FLOWS := doors|everySize|commandLine$$|names|version1|noiseInDiscord|threeServices|faultsOf|invite|changedWhileRead|thumbnailVersion1|thumbnailService|davLitmus|davCurl|davCadaver|davRclone$$|noSecrets
PAGES := tests/page.e2e.ts tests/people.e2e.ts tests/uploads.e2e.ts tests/links.e2e.ts tests/browse.e2e.ts
backends: build
	set -e; for on in $(BACKENDS); do echo "on $$on:"; \
		$(GO) run ./tools/backend -on $$on -- $(GO) test . -count=1 -timeout 15m -run 'EndToEnd_($(FLOWS))'; \
		$(if $(PAGES),tools/with-chromium.sh $(GO) run ./tools/backend -on $$on -- $(NPM) --prefix web run --silent e2e -- $(PAGES);) \
	done

test-backends:
	$(MAKE) backends BACKENDS=managers FLOWS='doors|everySize|version1' PAGES=tests/page.e2e.ts

# The pictures of docs/, taken of the page as it is by its own tests.
screenshots: build
	SCREENSHOTS=$(CURDIR)/docs/screenshots tools/with-chromium.sh $(NPM) --prefix web run --silent e2e -- tests/pictures.e2e.ts tests/links.e2e.ts tests/people.e2e.ts tests/admin.e2e.ts

lint: $(TOOLS)/staticcheck page
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt: the files above are not formatted"; exit 1; }
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...

vuln:
	tools/vulncheck.sh $(GOVULNCHECK_VERSION)

# BENCH_FLAGS='-run download -size 256' for a part of it.
bench: page
	$(GO) run ./tools/bench $(BENCH_FLAGS)

# Clients on a sandbox that fails all the time; SOAK_FOR=1h for longer. SOAK_ON=managers
# kills and cuts off the product's processes as well: see docs/performance.md.
SOAK_FOR ?= 3m
SOAK_ON ?= here
soak: page
	$(GO) run ./tools/soak -on $(SOAK_ON) -for $(SOAK_FOR)

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

clean:
	rm -rf discord-cloud web/dist/assets web/dist/index.html .tools
