#!/usr/bin/env bash
# What it costs to keep everything: processor time, syncs, memory and size of a sync of the corpus; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
need_command strace strace
find_corpus "$@"
build_mirror
build_project NpmMirror.Benchmarks
build_project NpmMirror.StoreBenchmarks
exec "$node" "$bench/compare/keep.mjs" --root "$root" --program "$program" --work "$work/keep" --corpus "$corpus" "$@"
