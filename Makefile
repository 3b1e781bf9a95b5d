# One line says what each target is for: make help.
SHELL := /bin/bash
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
RACE := ./pkg/contact ./pkg/fleet ./pkg/kube ./pkg/lab/... ./pkg/machines/... ./pkg/mariadb/... ./pkg/mysql ./pkg/platform ./pkg/probe ./pkg/watch
GOTEST := go test -trimpath -timeout 25m
export CGO_ENABLED ?= 0
# Tests know from these where real quotes and inputs are; Go's cache of test results, too.
export CONFIDB_REAL_QUOTES ?= $(wildcard $(CURDIR)/../shared/testdata/sgx-quotes)
export CONFIDB_REAL_INPUTS ?= $(wildcard $(CURDIR)/../shared/testdata/real-inputs)
packages = $(if $(WITHOUT_MARIADB),$$(scripts/without-mariadb $(1)),$(1))

.PHONY: build test unit race e2e cover lint golden demo demo-scalable taste lab lab-down bench bench-lab modules help

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: modules ## build the programs into bin/
	go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

test: modules ## run every test: unit, race, then end to end on the real cluster
	@scripts/test

unit: modules ## run the unit tests, pkg/sgx against oasis-core, of the application, and of the drivers of clients
	$(GOTEST) $(call packages,./...)
	cd test/oracle && $(GOTEST) ./...
	cd test/apps/tokenizer && $(GOTEST) $(if $(WITHOUT_MARIADB),-skip OnMariaDB) ./...
	cd test/clients && $(GOTEST) $(if $(WITHOUT_MARIADB)$(WITHOUT_CLIENTS),-skip OnMariaDB) ./...
	scripts/taste >/dev/null 2>&1 || scripts/taste

race: modules ## run the tests of packages with goroutines of ours under the race detector
	CGO_ENABLED=1 $(GOTEST) -race $(call packages,$(RACE))
	CGO_ENABLED=1 $(GOTEST) -race -skip 'Flip|Changed|OtherLengths' ./pkg/attest ./pkg/sgx

e2e: build ## run the end-to-end tests (starts the lab)
	$(GOTEST) -tags e2e -count 1 -timeout 40m ./test/e2e/...

cover: modules ## print the statement coverage of each package of the product, and fail where it is too low
	@$(GOTEST) -coverpkg ./pkg/...,./plugin/... -coverprofile .cover.out $(call packages,./...) >.cover.log || { cat .cover.log; exit 1; }
	@go run ./test/cover .cover.out

lint: modules ## check the sources: gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l cmd internal pkg plugin test *.go 2>/dev/null); [ -z "$$unformatted" ] || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags e2e ./test/...
	@said=$$(GOBIN=$(CURDIR)/.tools go install $(STATICCHECK) 2>&1) || { echo "$$said"; exit 1; }
	.tools/staticcheck ./...
	for module in test/oracle test/apps/tokenizer test/clients; do (cd $$module && go vet ./... && $(CURDIR)/.tools/staticcheck ./...) || exit 1; done

demo: ## the main job on the embedded lab, from nothing to a proven database
demo-scalable: ## three databases behind MaxScale and HAProxy, of which the primary is lost
taste: ## the plugin on examples, in ten seconds, without root or cluster
demo demo-scalable taste:
	@scripts/$@

lab: ## start the lab and write .lab/env
	scripts/lab-up

lab-down: ## stop the lab and remove all of it but the caches
	scripts/lab-down

golden: ## rewrite the golden files from what the code says now
	$(GOTEST) ./pkg/charts ./plugin/internal/printers ./plugin/confidb ./plugin/scone -update

bench: build ## measure: quotes, sysbench through the tiers, start of the program, lab up, install to verified
	$(GOTEST) -run '^$$' -bench . ./pkg/sgx
	$(GOTEST) -run '^$$' -bench 'Growth|Path' -benchtime 1x ./pkg/lint ./pkg/mariadb/mariadbtest
	$(GOTEST) -run '^$$' -bench Clients -benchtime 3x ./pkg/deploy
	cd test/oracle && $(GOTEST) -run '^$$' -bench . ./...
	@if lab=$$(test/cluster/machine.sh); then $(MAKE) --no-print-directory bench-lab; else echo "not run: the benchmarks on the lab ($$lab)"; fi

bench-lab: build ## the part of bench that needs the lab
	$(GOTEST) -tags e2e -run '^$$' -bench Start -benchtime 20x ./test/e2e
	$(GOTEST) -tags e2e -run '^$$' -bench InstallToVerified -benchtime 3x ./test/e2e
	$(GOTEST) -tags e2e -run '^$$' -bench Verify -benchtime 5x ./test/e2e
	$(GOTEST) -tags e2e -run '^$$' -bench LabUp -benchtime 1x -timeout 40m ./test/e2e

modules: ## fetch the Go modules, and say nothing unless that fails
	@scripts/modules . test/oracle test/apps/tokenizer test/clients
