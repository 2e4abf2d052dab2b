#!/usr/bin/env bash
# Feeds mutated packuments to the reader, the index, the comparison and the writers, and reports how many: bench/fuzz.sh [inputs] [seed].
set -euo pipefail
cd "$(dirname "$0")/.."
timeout 600 dotnet build bench/NpmMirror.Fuzz/NpmMirror.Fuzz.csproj -c Release -v quiet --nologo
exec timeout 7200 dotnet artifacts/bin/NpmMirror.Fuzz/release/NpmMirror.Fuzz.dll "${1:-10000000}" ${2:+"$2"}
