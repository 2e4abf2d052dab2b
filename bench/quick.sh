#!/usr/bin/env bash
# What this revision costs, in under three minutes after the build, without a corpus: one table, each figure beside its control; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
need_command wrk wrk
need_command nginx nginx
build_mirror
build_project BareKestrel
build_project NpmMirror.Benchmarks
exec "$node" "$bench/compare/quick.mjs" --root "$root" --program "$program" --work "$work/quick" "$@"
