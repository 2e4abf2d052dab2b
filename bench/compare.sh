#!/usr/bin/env bash
# Compares this mirror with a bare Kestrel, nginx, Verdaccio and pnpr on the same packuments; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
install_tools
build_release
exec "$node" "$bench/compare/compare.mjs" --root "$root" --tools "$tools" --work "$work/compare" "$@"
