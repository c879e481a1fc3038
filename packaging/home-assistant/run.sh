#!/bin/sh
# Starts gatewayd with the add-on's options, which Home Assistant has checked.
# Usage: run.sh [OPTIONS.JSON]
set -eu

file=${1:-/data/options.json}
option() { jq -r --arg k "$1" '.[$k] // empty' "$file"; }

if [ -n "$(option network_device)" ]; then
	radio="spinel+hdlc+tcp://$(option network_device)"
elif [ -n "$(option device)" ]; then
	radio="spinel+hdlc+uart://$(option device)?uart-baudrate=$(option baudrate)"
	if [ "$(option flow_control)" = true ]; then
		radio="$radio&uart-flow-control"
	fi
else
	echo "gatewayd: no dongle is chosen: set device, or network_device for one on the network, in the add-on's configuration" >&2
	exit 1
fi
# Without a network it adopts the one that is given, or makes one.
network=new
if [ -n "$(option dataset)" ]; then
	network=$(dirname "$file")/dataset
	(umask 077 && option dataset >"$network")
fi

infra=$(option backbone_interface)
exec gatewayd run --radio "$radio" --network "$network" --infra "${infra:-auto}" --data-dir /data/gatewayd
