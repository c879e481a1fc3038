#!/usr/bin/env bash
# Makes the empty file system of the data partition: the same bytes each time.
# Usage: image/data.sh FILE
# Needs e2fsprogs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
rm -f "$1"
truncate -s 32M "$1"
mke2fs -q -t ext4 -L GWDATA -U 47570004-0000-4000-8000-000000000000 -E hash_seed=47570005-0000-4000-8000-000000000000 "$1"
