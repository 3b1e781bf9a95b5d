# One line says what each target is for: make help.
SHELL := /bin/bash
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
RACE := ./pkg/lab/... ./pkg/mariadb/... ./pkg/mysql ./pkg/platform/... ./pkg/probe/... ./plugin/internal/cluster/... ./plugin/internal/verbs
GOTEST := go test -trimpath
export CGO_ENABLED ?= 0

.PHONY: build test unit race e2e lint golden demo lab lab-down bench help

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the programs into bin/
	go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

test: ## run every test: unit, race, then end to end on the real cluster
	@test/cluster/build.sh >/dev/null & cluster=$$!; \
	$(MAKE) --no-print-directory unit race && wait $$cluster && $(MAKE) --no-print-directory e2e || { kill $$cluster 2>/dev/null; exit 1; }

unit: ## run the unit tests, and pkg/sgx against oasis-core
	$(GOTEST) ./...
	cd test/oracle && $(GOTEST) ./...

race: ## run the tests of packages with goroutines of ours under the race detector
	CGO_ENABLED=1 $(GOTEST) -race $(RACE)
	CGO_ENABLED=1 $(GOTEST) -race -skip 'Flip|Changed|OtherLengths' ./pkg/attest ./pkg/sgx

e2e: build ## run the end-to-end tests (starts the lab)
	$(GOTEST) -tags e2e -count 1 -timeout 40m ./test/e2e/...

lint: ## check the sources: gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l cmd internal pkg plugin test *.go 2>/dev/null); [ -z "$$unformatted" ] || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags e2e ./test/...
	go run $(STATICCHECK) ./...
	cd test/oracle && go vet ./... && go run $(STATICCHECK) ./...

demo: ## the main job on the embedded lab, from nothing to a proven database
	scripts/demo

lab: ## start the lab and write .lab/env
	scripts/lab-up

lab-down: ## stop the lab and remove all of it but the caches
	scripts/lab-down

golden: ## rewrite the golden files from what the code says now
	$(GOTEST) ./pkg/charts ./plugin/internal/printers -update

bench: build ## measure: quotes, start of the program, lab up, install to verified
	$(GOTEST) -run '^$$' -bench . ./pkg/sgx
	cd test/oracle && $(GOTEST) -run '^$$' -bench . ./...
	$(GOTEST) -tags e2e -run '^$$' -bench Start -benchtime 20x ./test/e2e
	$(GOTEST) -tags e2e -run '^$$' -bench InstallToVerified -benchtime 3x ./test/e2e
	$(GOTEST) -tags e2e -run '^$$' -bench LabUp -benchtime 1x -timeout 40m ./test/e2e
