#!/usr/bin/env bash
# Compares this mirror with a bare Kestrel, nginx, Verdaccio and pnpr on the same packuments; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
need_command wrk wrk
install_rivals
find_corpus "$@"
build_mirror
build_project BareKestrel
exec "$node" "$bench/compare/compare.mjs" --root "$root" --program "$program" --tools "$tools" --work "$work/compare" --corpus "$corpus" "$@"
