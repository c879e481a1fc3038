################################################################################
#
# gatewayd
#
################################################################################

GATEWAYD_VERSION = $(or $(GATEWAYD_RELEASE),local)
GATEWAYD_SITE = $(GATEWAYD_SOURCE)
GATEWAYD_SITE_METHOD = local
# Its own, and those of the modules that lie beside it.
GATEWAYD_LICENSE = Apache-2.0, Apache-2.0 and BSD-3-Clause and MIT (Go modules)
GATEWAYD_LICENSE_FILES = \
	LICENSE \
	$(sort $(shell cd $(GATEWAYD_SOURCE) && \
		find vendor -type f \( -iname 'licen[cs]e*' -o -name PATENTS \) 2>/dev/null))
GATEWAYD_GOMOD = gatewayd
GATEWAYD_BUILD_TARGETS = cmd/gatewayd
GATEWAYD_GO_ENV = CGO_ENABLED=0
GATEWAYD_LDFLAGS = -s -w -X main.version=$(GATEWAYD_VERSION)

$(eval $(golang-package))
