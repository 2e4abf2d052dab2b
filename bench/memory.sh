#!/usr/bin/env bash
# How much memory it takes to follow and serve the whole corpus, ten packuments of 51 MB at once included; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
install_tools
build_release
exec "$node" "$bench/compare/memory.mjs" --root "$root" --work "$work/memory" "$@"
