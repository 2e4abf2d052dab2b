#!/usr/bin/env bash
# How much memory it takes to follow and serve the whole corpus, ten packuments of 51 MB at once included; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
find_corpus "$@"
build_mirror
exec "$node" "$bench/compare/memory.mjs" --program "$program" --work "$work/memory" --corpus "$corpus" "$@"
