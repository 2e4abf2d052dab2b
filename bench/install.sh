#!/usr/bin/env bash
# How long a project takes to install through this mirror, pnpr, Verdaccio and from the registry itself; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_node
need_command npm npm
install_rivals
build_mirror
exec "$node" "$bench/compare/install.mjs" --root "$root" --program "$program" --tools "$tools" --work "$work/install" "$@"
