#!/usr/bin/env bash
# What it costs to let thousands of followers wait for the next change, and how soon they hear of it; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
build_mirror
# A socket is a file, in the mirror's process as in the one of its clients.
ulimit -n "$(ulimit -Hn)"
exec "$node" "$bench/compare/waiters.mjs" --program "$program" --work "$work/waiters" "$@"
