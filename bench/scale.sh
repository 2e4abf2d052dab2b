#!/usr/bin/env bash
# A mirror of 4.4 million packages beside one of 2,000: start, memory, reads, listing, reconciliation, changes; see bench/README.md.
# --packages N for another size; --keep FOLDER keeps the filled stores there and takes them from there the next time.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
need_command wrk wrk

keep=
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=$(realpath -m "$2"); shift 2 ;;
    --packages | --seed | --port | --seconds) options+=("$1" "$2"); shift 2 ;;
    *) echo "scale.sh knows --packages, --seed, --port, --seconds and --keep, not $1." >&2; exit 2 ;;
  esac
done

build_mirror
build_project NpmMirror.ScaleBenchmarks

# Under the temporary folder, unless TMPDIR names a larger disk: twice 6 GB for the full size.
folder=$(mktemp -d "${TMPDIR:-/tmp}/npm-mirror-scale-XXXXXX")
trap 'rm -rf "$folder"' EXIT
filled=${keep:-$folder/filled}
mkdir -p "$folder/work" "$filled"
timeout 3600 dotnet "$root/artifacts/bin/NpmMirror.ScaleBenchmarks/release/NpmMirror.ScaleBenchmarks.dll" \
  run "$program" "$bench/NpmMirror.ScaleBenchmarks/random.lua" "$folder/work" "$filled" ${options[@]+"${options[@]}"}
