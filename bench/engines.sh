#!/usr/bin/env bash
# The storage engines beside each other, over the same packuments: ingest, reads, list, changes, size, memory, recovery; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
need_command redis-server redis-server
need_command setpriv util-linux
[ -n "$(find /usr/lib/postgresql -name initdb -print -quit 2>/dev/null)" ] || need_command initdb postgresql
find_corpus "$@"
build_project NpmMirror.StoreBenchmarks
exec "$node" "$bench/compare/engines.mjs" --root "$root" --work "$work/engines" --corpus "$corpus" "$@"
