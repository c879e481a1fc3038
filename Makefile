# gatewayd: one static binary, and everything that checks it.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 30s

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: image image-key card image-test package-test check-buildroot packages build demo test bench lint interop interop-toranj fuzz fmt-check vet clean

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/gatewayd ./cmd/gatewayd

# A network of simulated radios on this machine: no dongle, no root.
demo: build
	bin/gatewayd demo

test: fmt-check vet
	go test ./...

lint: fmt-check vet
	go run $(STATICCHECK) ./...

fmt-check:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...

# The budgets, beside OpenThread's host where its programs are: docs/performance.md.
bench:
	go run -tags bench ./bench $(BENCHFLAGS)

# The suites against foreign programs, which docs/operations.md names.
interop:
	go test -tags interop -count 1 -timeout 60m -skip '^TestToranj$$' ./interop/... -v

# OpenThread's toranj scripts, with nodes of ours and theirs: docs/interop.md.
interop-toranj:
	go test -tags interop -count 1 -timeout 180m -run '^TestToranj$$' ./interop -v

# Every fuzz target in turn, FUZZTIME each.
fuzz:
	@go test -list '^Fuzz' ./... | \
	awk '/^Fuzz/ { f[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, f[i]; n = 0 }' | \
	while read -r pkg target; do \
		echo "fuzz $$pkg $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg" </dev/null; \
	done

# Debian packages, archives, checksums and a bill of materials: packaging/README.md.
packages:
	packaging/build.sh $(VERSION)

# The appliance's image out of Debian's parts, started in QEMU: docs/appliance.md.
# Needs qemu-system-arm, genimage, mtools, dosfstools, e2fsprogs, kmod, cpio, zstd.
IMAGE := dist/image-test
card: build
	CGO_ENABLED=0 GOARCH=arm64 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o $(IMAGE)/gatewayd ./cmd/gatewayd
	GATEWAYD_HOST_PROGRAM=$(CURDIR)/bin/gatewayd image/debian.sh $(IMAGE)/gatewayd $(IMAGE)

image-test: build card
	GATEWAYD_IMAGE=$(CURDIR)/$(IMAGE)/sdcard.img GATEWAYD_HOST_PROGRAM=$(CURDIR)/bin/gatewayd \
		go test -tags image -count 1 -timeout 20m -v ./image $(IMAGEFLAGS)

# The Debian package in a Debian machine in QEMU: packaging/README.md. Needs root,
# qemu-system-x86, mmdebstrap, e2fsprogs, kmod, cpio, zstd, xz-utils.
VM := dist/debian-vm
package-test: build packages card
	image/vm.sh $(VM)
	GATEWAYD_IMAGE=$(CURDIR)/$(IMAGE)/sdcard.img GATEWAYD_VM=$(CURDIR)/$(VM) GATEWAYD_DEB=$$(ls $(CURDIR)/dist/gatewayd_*_amd64.deb) GATEWAYD_HOST_PROGRAM=$(CURDIR)/bin/gatewayd \
		go test -tags image -count 1 -timeout 30m -v -run TestPackage ./image

# The key that an image's updates are signed with, in a file of IMAGE_KEY's
# name, outside of this tree: docs/updating.md.
image-key: build
	bin/gatewayd update key $(IMAGE_KEY)

# The image for Raspberry Pis, with Buildroot: buildroot/README.md.
image:
	buildroot/build.sh $(VERSION) dist/image

# BUILDROOT=DIR checks the tree in buildroot/ against one.
check-buildroot:
	buildroot/check.sh $(BUILDROOT)

clean:
	rm -rf bin dist
