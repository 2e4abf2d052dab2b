#!/usr/bin/env bash
# What a crowd feels: 200 clients that want the same new things at once, and readers while the feed is busy; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
need_command python3 python3-minimal
build_mirror
exec "$node" "$bench/compare/crowd.mjs" --program "$program" --work "$work/crowd" "$@"
