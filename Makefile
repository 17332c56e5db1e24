# Everything here needs Go, make, git and a shell; what else is needed is built from pinned versions (tools/README.md).

MODULES := $(shell sed -n 's|^[[:space:]]*\./||p' go.work)
PACKAGES := $(MODULES:%=./%/...)
# Modules outside of go.work that are ours all the same: checked as the others are, each on its own.
ALONE := test/e2e test/e2e/scale test/e2e/conformance test/observability/rules tools/images
PREFIX := github.com/capmaas/capmaas
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The Go that the delivered programs are built with: the newest patch release, whatever a developer has.
RELEASE_GO := go1.26.11

# Set by the caller: ARGS goes to go test, PKG and COUNT to deflake, BENCH to bench, FUZZ and FUZZTIME to fuzz, KEEP to demo and
# e2e, PATIENCE to e2e, REAL to demo, SAMPLE to dev, SCENARIOS to e2e, SPECS to e2e-conformance, SEED, LIFECYCLES and STACKS to faults, MUTANTS, ONLY and
# RESULTS to requirements, ONLY, MACHINES and WRITE to load, CLUSTERS, CONCURRENCY, DURATION, PHASES and WRITE to e2e-scale, BIN
# to build, VERSION to build, release and image-tarballs, DIST and REGISTRY to the last two, PLATFORMS, IMAGES, REVISION and SOURCE_DATE_EPOCH
# to image-tarballs.
ARGS ?=
PKG ?=
COUNT ?= 50
BENCH ?= .
FUZZ ?= .
FUZZTIME ?= 20s
KEEP ?=
PATIENCE ?=
SAMPLE ?=
SCENARIOS ?=
SPECS ?=
SEED ?=
LIFECYCLES ?=
MUTANTS ?=
ONLY ?=
MACHINES ?=
CLUSTERS ?=
CONCURRENCY ?=
DURATION ?=
PHASES ?=
RESULTS ?=
WRITE ?=
BIN ?= bin
DIST ?= dist
REGISTRY ?= ghcr.io/capmaas
PLATFORMS ?= linux/amd64 linux/arm64
IMAGES ?= lxdprovisioner manager maassim
REVISION ?= $(shell git rev-parse HEAD)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

# What a recipe starts with to have $$tools, $$plugins, $$lint or $$assets; it stops there when they can't be had.
TOOLS := tools=$$(tools/ensure.sh) || exit 1;
PLUGINS := plugins=$$(tools/ensure.sh protoc-gen) || exit 1;
LINT := lint=$$(tools/ensure.sh golangci-lint) || exit 1;
ASSETS := assets=$$(tools/apiserver/ensure.sh) || exit 1;
# In front of a command in a module's directory: a module of ALONE is outside of the workspace.
WORKSPACE = GOWORK=$$(case " $(ALONE) " in (*" $$module "*) echo off;; (*) echo "$$GOWORK";; esac)

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Each program with its package and the variable that its version is stamped into.
PROGRAMS := lxdprovisioner manager maassim maaslxd
package-lxdprovisioner := ./services/lxdprovisioner/cmd/lxdprovisioner
version-lxdprovisioner := $(PREFIX)/services/lxdprovisioner/app.Version
package-manager := ./controllers/cmd/manager
version-manager := $(PREFIX)/controllers/app.Version
package-maassim := ./services/maassim/cmd/maassim
version-maassim := main.version
package-maaslxd := ./cmd/maaslxd
version-maaslxd := $(PREFIX)/cmd/maaslxd/app.Version

.PHONY: build
build: $(PROGRAMS:%=build-%) ## Build the service, the manager, the simulator and maaslxd into bin/

.PHONY: $(PROGRAMS:%=build-%)
build-maaslxd: export CGO_ENABLED = 0
$(PROGRAMS:%=build-%): build-%:
	go build -ldflags '-X $(version-$*)=$(VERSION)' -o $(BIN)/$* $(package-$*)

.PHONY: generate
generate: ## Write the generated Go: messages and RPCs from the .proto files, deep copies of the API types
	@$(TOOLS) $(PLUGINS) PATH="$$plugins:$$PATH" "$$tools/buf" generate
	@$(TOOLS) cd api && "$$tools/controller-gen" object paths=./...

.PHONY: manifests
manifests: ## Write the CRDs, the manager's role and the webhooks into deploy/, and three pages into docs/reference/
	@$(TOOLS) cd api && "$$tools/controller-gen" crd paths=./... output:crd:dir=../deploy/crd/bases
	@$(TOOLS) cd controllers && "$$tools/controller-gen" rbac:roleName=capmaas-manager-role paths=./... output:rbac:dir=../deploy/rbac
	@$(TOOLS) cd controllers && "$$tools/controller-gen" webhook paths=./internal/webhooks/... output:webhook:dir=../deploy/webhook
	@mkdir -p bin && go run ./test/reference/cmd/fields . >bin/fields.md && cp bin/fields.md docs/reference/fields.md
	@go run ./test/reference/cmd/reasons . >bin/reasons.md && cp bin/reasons.md docs/reference/reasons.md
	@go run ./test/reference/cmd/flags >bin/flags.md && cp bin/flags.md docs/reference/flags.md

.PHONY: lint
lint: lint-go lint-proto ## Run every linter

.PHONY: lint-go
lint-go: ## Run golangci-lint in each module
	@$(LINT) failed=; for module in $(MODULES) $(ALONE); do \
		echo "golangci-lint $$module"; \
		(cd $$module && $(WORKSPACE) "$$lint/golangci-lint" run --allow-serial-runners --config "$(CURDIR)/.golangci.yml" ./...) || failed="$$failed $$module"; \
	done; \
	if [ -n "$$failed" ]; then echo "golangci-lint complains about:$$failed"; exit 1; fi

.PHONY: lint-proto
lint-proto: ## Check the contract: buf's lint and format, and no breaking change against proto/image.binpb
	@mkdir -p bin; $(TOOLS) set -ex; \
		"$$tools/buf" lint; \
		"$$tools/buf" format --diff --exit-code; \
		"$$tools/buf" build --path proto/lxdprovisioner --output bin/contract.binpb; \
		"$$tools/buf" breaking bin/contract.binpb --against proto/image.binpb

.PHONY: fmt
fmt: ## Format the Go and the .proto files
	@$(LINT) for module in $(MODULES) $(ALONE); do (cd $$module && "$$lint/golangci-lint" fmt --config "$(CURDIR)/.golangci.yml") || exit 1; done
	@$(TOOLS) "$$tools/buf" format --write

.PHONY: race
race:
	@[ "$$(go env CGO_ENABLED)" = 1 ] || { echo "the race detector needs a C compiler (gcc or clang) and CGO_ENABLED=1"; exit 1; }

# A package that lets real processes die takes minutes, and several times as many on a computer that has other work, where the usual
# ten would end it.
.PHONY: test
test: race ## Run every test with the race detector (ARGS='-run TestX -v')
	@$(ASSETS) set -x; CAPMAAS_DEPLOY="$$(tools/tree.sh deploy)" CAPMAAS_TREE="$$(tools/tree.sh .)" KUBEBUILDER_ASSETS="$$assets" go test -race -timeout 30m $(PACKAGES) $(ARGS)
	GOWORK=off go test -C test/observability/rules -count=1 ./...
	@$(ASSETS) set -x; KUBEBUILDER_ASSETS="$$assets" GOWORK=off go test -C test/e2e/conformance -count=1 . ./templates
ifeq ($(shell uname -s),Linux)
	@$(ASSETS) set -x; CAPMAAS_DEPLOY="$$(tools/tree.sh deploy)" KUBEBUILDER_ASSETS="$$assets" GOWORK=off go test -C test/e2e -race ./... $(ARGS)
	GOWORK=off go test -C test/e2e/scale -race ./... $(ARGS)
endif

.PHONY: deflake
deflake: race ## Repeat tests in random order until one fails, COUNT times at most (PKG=./controllers/... COUNT=50)
	@[ -n "$(PKG)" ] || { echo "say what to repeat, for example: make deflake PKG=./controllers/..."; exit 2; }
	@$(ASSETS) round=1; while [ $$round -le $(COUNT) ]; do \
		echo "round $$round of $(COUNT)"; \
		KUBEBUILDER_ASSETS="$$assets" go test -race -shuffle=on -count=1 -failfast $(PKG) $(ARGS) || { echo "failed in round $$round"; exit 1; }; \
		round=$$((round + 1)); \
	done

.PHONY: demo
demo: $(if $(REAL),,build) ## Show the main job on real processes: API server, simulator, service, manager (KEEP=1 leaves them running, REAL=1 has real control planes)
ifdef REAL
	@exec $(MAKE) --no-print-directory e2e SCENARIOS=create KEEP=1
else
	@$(ASSETS) grpcurl=$$(tools/ensure.sh grpcurl) || exit 1; go build -o bin/demo ./test/demo || exit 1; \
		KUBEBUILDER_ASSETS="$$assets" PATH="$$assets:$$grpcurl:$$PATH" exec bin/demo $(if $(KEEP),--keep)
endif

.PHONY: dev
dev: ## Rebuild and restart service and manager when their sources change; API server, simulator and objects stay (SAMPLE=1 applies a cluster)
	@$(ASSETS) mkdir -p bin && go build -o bin/dev ./test/dev || exit 1; KUBEBUILDER_ASSETS="$$assets" exec bin/dev $(if $(SAMPLE),--sample)

.PHONY: e2e-all
e2e-all: ## Carry real clusters through every scenario, while our processes and MAAS die by turns
	@$(MAKE) --no-print-directory e2e SCENARIOS=--all DISTURB=1

# What real clusters want of a machine, before anything is built that takes minutes.
.PHONY: e2e-check
e2e-check:
	@[ "$$(uname -s)" = Linux ] && [ "$$(id -u)" = 0 ] || { \
		echo "real clusters take namespaces, a bridge and mounts: they need Linux and root; this is $$(uname -s) and user $$(id -un)"; exit 2; }
	CGO_ENABLED=0 GOWORK=off go build -C test/e2e -o "$(CURDIR)/bin/" ./cmd/...
	@bin/e2e --check

.PHONY: e2e
e2e: e2e-check ## Carry real clusters: Cluster API's own managers, machines that run kubeadm (Linux, root; SCENARIOS='create delete' DISTURB=1 KEEP=1 PATIENCE=10m)
	@$(MAKE) --no-print-directory build
	@$(ASSETS) kubernetes=$$(tools/realcluster/ensure.sh kubernetes) || exit 1; before=$$(tools/realcluster/ensure.sh kubernetes-before) || exit 1; \
		managers=$$(tools/realcluster/ensure.sh managers) || exit 1; \
		exec bin/e2e --assets "$$assets" --kubernetes "$$kubernetes" --kubernetes-before "$$before" --managers "$$managers" $(if $(KEEP),--keep) $(if $(DISTURB),--disturb) $(if $(PATIENCE),--patience $(PATIENCE)) $(SCENARIOS)

# What is called a release here has the newest series that deploy/metadata.yaml names.
.PHONY: e2e-conformance
e2e-conformance: e2e-check ## Run Cluster API's own specs on real clusters and this provider's released templates (SPECS='QuickStart|Scale')
	@$(MAKE) --no-print-directory release VERSION=v0.10.0 DIST=bin/release
	CGO_ENABLED=0 GOWORK=off go test -C test/e2e/conformance -vet=off -c -o "$(CURDIR)/bin/conformance" ./suite
	@exec $(MAKE) --no-print-directory e2e SCENARIOS='--exec bin/conformance -- --release=bin/release $(if $(SPECS),-ginkgo.focus="$(SPECS)")'

.PHONY: e2e-scale
e2e-scale: e2e-check ## Let many clusters live at once and count what they cost (Linux, root; CLUSTERS=10 CONCURRENCY=5 DURATION=20m PHASES='create delete' WRITE=1)
	@$(MAKE) --no-print-directory build-manager build-lxdprovisioner
	CGO_ENABLED=0 GOWORK=off go build -C test/e2e/scale -o "$(CURDIR)/bin/" ./cmd/...
	@$(ASSETS) kubernetes=$$(tools/realcluster/ensure.sh kubernetes) || exit 1; managers=$$(tools/realcluster/ensure.sh managers) || exit 1; \
		exec bin/scale --assets "$$assets" --kubernetes "$$kubernetes" --managers "$$managers" $(if $(CLUSTERS),--clusters $(CLUSTERS)) \
		$(if $(CONCURRENCY),--concurrency $(CONCURRENCY)) $(if $(DURATION),--duration $(DURATION)) $(if $(PHASES),--phases '$(PHASES)') $(if $(WRITE),--write)

.PHONY: faults
faults: ## Let service, manager and API server die while MAAS fails, and compare what is left (LIFECYCLES=10000 SEED=7)
	@$(ASSETS) go build -o bin/faults ./test/faults/cmd/faults || exit 1; KUBEBUILDER_ASSETS="$$assets" SEED="$(SEED)" LIFECYCLES="$(LIFECYCLES)" STACKS="$(STACKS)" exec bin/faults

.PHONY: requirements
requirements: race ## Print for each number of docs/requirements.md the tests that name it and how they ended (MUTANTS=1 ONLY=R4.4)
	@$(ASSETS) go build -o bin/requirements ./test/requirements/cmd/requirements || exit 1; \
		KUBEBUILDER_ASSETS="$$assets" exec bin/requirements $(if $(MUTANTS),--mutants) $(if $(ONLY),--only $(ONLY)) $(if $(RESULTS),--results "$(RESULTS)") $(PACKAGES)

.PHONY: bench
bench: ## Run the benchmarks (BENCH='Place')
	@$(ASSETS) set -x; KUBEBUILDER_ASSETS="$$assets" go test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES) $(ARGS)

.PHONY: performance
performance: ## Write the figures of docs/performance.md anew
	go test -p 1 -run '^TestPerformance_' -count=1 -timeout 30m ./services/lxdprovisioner/internal/placement ./services/lxdprovisioner/internal/provision -args -performance

.PHONY: load
load: ## Count what many machines cost MAAS and write it into docs/performance.md (ONLY='lives static rest added memory outage' MACHINES='1 100' WRITE=1)
	@$(ASSETS) go build -o bin/load ./test/load/cmd/load || exit 1; KUBEBUILDER_ASSETS="$$assets" ONLY="$(ONLY)" MACHINES="$(MACHINES)" WRITE="$(WRITE)" exec bin/load

.PHONY: fuzz
fuzz: ## Fuzz each parser of foreign input for FUZZTIME (FUZZ='FuzzMachine' FUZZTIME=20s); what is found becomes a seed in testdata/fuzz
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' $(MODULES) | xargs -n1 dirname | sort -u); do \
		for target in $$(go test -list '$(FUZZ)' "./$$package" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 200x $(ARGS) "./$$package" || exit 1; \
		done; \
	done

.PHONY: tidy
tidy: ## Tidy each module on its own
	@for module in $(MODULES) $(ALONE); do echo "go mod tidy in $$module"; (cd $$module && GOWORK=off GOFLAGS=-mod=mod go mod tidy) || exit 1; done

.PHONY: drift
drift: ## Check that generated files and go.mod files are what their sources say, and that each module builds alone
	@tools/drift.sh $(MODULES) $(ALONE)

.PHONY: vulncheck
vulncheck: ## Say which known vulnerabilities the code reaches, with the Go of releases (VULNDB=latest, GOVULNDB=https://vuln.go.dev)
	@tools/vulncheck.sh $(RELEASE_GO) $(MODULES) $(ALONE)

.PHONY: image
image: ## Renew proto/image.binpb, the contract that lint-proto compares with (wants an ADR line)
	@$(TOOLS) "$$tools/buf" build --path proto/lxdprovisioner --exclude-source-info --output proto/image.binpb

.PHONY: release
release: ## Write what clusterctl fetches into dist/ (VERSION=v0.10.0 REGISTRY=ghcr.io/capmaas)
	tools/release.sh '$(VERSION)' '$(REGISTRY)' '$(DIST)'

# The time of everything in the images is that of the commit; the Go is the release's. Nothing else of the machine gets in.
.PHONY: image-tarballs
image-tarballs: ## Write the images into dist/images as OCI layouts, with an SBOM each (VERSION=v0.10.0 PLATFORMS=linux/arm64 IMAGES=manager)
	@rm -rf '$(DIST)/programs'
	@for platform in $(PLATFORMS); do for program in $(IMAGES); do \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} GOTOOLCHAIN=$(RELEASE_GO) GOFLAGS='-trimpath -buildvcs=false' \
			$(MAKE) --no-print-directory build-$$program BIN='$(abspath $(DIST))/programs/'$$platform || exit 1; \
	done; done
	GOTOOLCHAIN=$(RELEASE_GO) GOWORK=off go build -C tools/images -o '$(CURDIR)/bin/images' .
	bin/images --programs '$(DIST)/programs' --out '$(DIST)/images' --registry '$(REGISTRY)' --version '$(VERSION)' \
		--revision '$(REVISION)' --epoch '$(SOURCE_DATE_EPOCH)' $(IMAGES)

.PHONY: clean
clean: ## Remove what was built into the tree; the cache outside of it stays (tools/README.md)
	rm -rf bin dist .demo .dev .e2e
