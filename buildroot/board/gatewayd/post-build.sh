#!/bin/sh
# Buildroot's step before the root is packed: what the overlay cannot hold.
set -eu
IMAGE_BOARD=raspberrypi "$BR2_EXTERNAL_GATEWAYD_PATH/../image/root.sh" "$1"
