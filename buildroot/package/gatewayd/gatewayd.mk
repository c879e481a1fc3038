################################################################################
#
# gatewayd
#
################################################################################

GATEWAYD_VERSION = $(or $(GATEWAYD_RELEASE),local)
GATEWAYD_SITE = $(GATEWAYD_SOURCE)
GATEWAYD_SITE_METHOD = local
GATEWAYD_LICENSE = Apache-2.0
GATEWAYD_LICENSE_FILES = LICENSE
GATEWAYD_GOMOD = gatewayd
GATEWAYD_BUILD_TARGETS = cmd/gatewayd
GATEWAYD_GO_ENV = CGO_ENABLED=0
GATEWAYD_LDFLAGS = -s -w -X main.version=$(GATEWAYD_VERSION)

$(eval $(golang-package))
