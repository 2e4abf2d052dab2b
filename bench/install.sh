#!/usr/bin/env bash
# How long a project takes to install through this mirror, pnpr, Verdaccio and from the registry itself; see bench/README.md.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
install_tools
build_release
exec "$node" "$bench/compare/install.mjs" --root "$root" --tools "$tools" --work "$work/install" "$@"
