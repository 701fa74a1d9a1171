# make build   bin/cpacman and bin/cpacman-lab, static, and the manual page bin/cpacman.1
# make demo    twelve real hosts on this machine, and the whole story on them
# make test    every test but peer, bench and long; installs what it needs
# make long    what make test leaves out for its time: SIGKILL at every point, cuts at every command on a host, a rollout of a thousand hosts, and the simulation of 100,000
# make vm      a new kernel is booted once, on real boot loaders: needs debootstrap, qemu and a mirror; see scripts/vm/README.md
# make bench   ratios against clush, parallel-ssh, ansible, scp, rsync and dnf on the same fleet in one run; BENCH="--hosts 2 --large 60000 repos" for its flags
# make lint    golangci-lint with the import table
# make fuzz    each fuzz target for FUZZTIME (10s)

GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 10s
VMDIR ?= /var/tmp/cpacman-vm
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
export CGO_ENABLED = 0

.PHONY: build demo test long vm bench lint fuzz clean

build:
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/cpacman ./cmd/cpacman-lab
	bin/cpacman man >bin/cpacman.1

demo:
	scripts/demo

test:
	scripts/test

long:
	CPACMAN_LONG=1 go test -count=1 -timeout 20m -v -run 'TestLabKills|TestThousandRollouts|TestSimulationOfAFleet' ./cmd/cpacman ./internal/rollout
	CPACMAN_CUTS=all go test -count=1 -timeout 90m -run 'TestTwoAtOnce|TestCut' ./internal/host

vm: build
	scripts/vm/run $(VMDIR)

bench:
	scripts/bench/run $(BENCH)

lint:
	go run $(GOLANGCI) run ./...

fuzz:
	scripts/fuzz $(FUZZTIME)

clean:
	rm -rf bin
