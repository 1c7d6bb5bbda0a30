# tcid. The two commands that a fresh machine needs are "make run" and
# "make test"; both install what is missing (scripts/deps) and say so.

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# cgo for libcontainer's nsenter; everything linked statically.
export CGO_ENABLED = 1
TAGS = runc_nocriu,netgo,osusergo
STATIC = -s -w -linkmode external -extldflags "-static"
LDFLAGS = $(STATIC) -X tcid/internal/version.Version=$(VERSION)
INIT = sandbox/container/init/tcid-init sandbox/container/init/fork.so sandbox/container/init/fork-faults.so
STARTER = sandbox/container/starter/starter

build: deps $(INIT) $(STARTER)
	$(GO) build -buildvcs=false -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/tcid ./cmd/tcid

$(INIT) &: $(wildcard sandbox/container/init/*.[ch]) sandbox/container/init/Makefile
	$(MAKE) -C sandbox/container/init

# What starts containers. Go knows when it is up to date.
$(STARTER): FORCE
	$(GO) build -buildvcs=false -trimpath -tags $(TAGS) -ldflags '$(STATIC)' -o $@ ./sandbox/container/starter

# The product but for its safeguards, which the tests of hostile programs take
# away one by one; see test/hostile/README.md.
bin/tcid-weak: $(INIT) $(STARTER) FORCE
	$(GO) build -buildvcs=false -trimpath -tags weaken,$(TAGS) -ldflags '$(LDFLAGS)' -o $@ ./cmd/tcid

FORCE:

# The default image, a daemon of its own, the README's examples through the
# Python SDK, and the end of the daemon.
run: build
	scripts/quickstart

# Everything that needs no package index and no virtual machine.
test: build bin/tcid-weak
	scripts/test

# What needs a package index or npm: the data stack, IPython, the TypeScript SDK,
# other people's clients.
test-clients: build
	scripts/test-clients

# The README's two commands in a fresh Debian tree.
test-fresh:
	test/fresh/run

# The daemon under systemd and cgroup v2, in a virtual machine.
test-vm: build bin/tcid-weak
	test/vm/run

# Our figures beside those of others, in one run (docs/performance.md).
bench: build
	scripts/bench

# Soaks, to see that nothing is left after minutes of the same; fuzzing; what make
# test repeats less often; and all hostile programs on cgroup v2.
test-long: build bin/tcid-weak
	scripts/fuzz
	$(GO) test -count=1 -v -buildvcs=false -tags long,$(TAGS) -timeout 30m ./test/soak
	TCID_TEST_ALL=1 $(GO) test -count=1 -buildvcs=false -tags $(TAGS) -p 1 -parallel 4 -timeout 30m ./rootfs ./test/e2e
	WHOLE=1 test/vm/run

lint: deps $(INIT) $(STARTER)
	scripts/lint

deps:
	@scripts/deps

clean:
	rm -rf bin $(STARTER)
	$(MAKE) -C sandbox/container/init clean

.PHONY: FORCE bench build run test test-clients test-long test-fresh test-vm lint deps clean
