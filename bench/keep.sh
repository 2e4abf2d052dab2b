#!/usr/bin/env bash
# What it costs to keep everything: processor time, syncs, memory and size of a sync of the corpus; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
install_tools
need_command strace strace
build_release
timeout 600 dotnet build "$root/bench/NpmMirror.StoreBenchmarks" -c Release -v quiet --nologo >&2
exec "$node" "$bench/compare/keep.mjs" --root "$root" --work "$work/keep" "$@"
