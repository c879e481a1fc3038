#!/usr/bin/env bash
# Prints what Raspberry Pi Imager 2 needs to know of an image to ask for its
# settings: without it, an image that is no system it knows gets none.
# Usage: image/manifest.sh SDCARD.IMG >gatewayd.rpi-imager-manifest
set -euo pipefail
file=$(realpath "$1")
size=$(stat -c %s "$file")
read -r sha _ < <(sha256sum "$file")
# Without a date passwords are hashed by SHA-256, which BusyBox can check.
cat <<JSON
{
  "os_list": [
    {
      "name": "gatewayd",
      "description": "Thread and 6LoWPAN border router",
      "icon": "",
      "url": "file://$file",
      "extract_size": $size,
      "extract_sha256": "$sha",
      "image_download_size": $size,
      "release_date": "",
      "init_format": "rpi-preseed",
      "devices": ["pi5-64bit", "pi4-64bit", "pi3-64bit"]
    }
  ]
}
JSON
