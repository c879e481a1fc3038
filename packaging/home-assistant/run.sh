#!/bin/sh
# Starts gatewayd with the add-on's options.
set -eu

option() { jq -r --arg k "$1" '.[$k] // empty' /data/options.json; }

if [ -n "$(option network_device)" ]; then
	radio="spinel+hdlc+tcp://$(option network_device)"
else
	radio="spinel+hdlc+uart://$(option device)?uart-baudrate=$(option baudrate)"
	if [ "$(option flow_control)" = true ]; then
		radio="$radio&uart-flow-control"
	fi
fi
infra=$(option backbone_interface)
if [ -z "$infra" ]; then
	infra=$(ip -6 route show default | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print $(i + 1); exit } }')
fi
if [ -z "$infra" ]; then
	infra=$(ip -4 route show default | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print $(i + 1); exit } }')
fi
exec gatewayd run --radio "$radio" --infra "$infra" --data-dir /data/gatewayd
