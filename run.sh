#!/usr/bin/env bash
# Restores, builds and runs `npm-mirror serve`; arguments are passed on.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v dotnet >/dev/null || ! dotnet --list-sdks | grep -q '^10\.'; then
  echo "npm-mirror needs the .NET 10 SDK: install it (package dotnet-sdk-10.0, or your platform's installer), then run this again." >&2
  exit 1
fi
dotnet build src/NpmMirror.Cli/NpmMirror.Cli.csproj -c Release -v quiet --nologo
exec dotnet artifacts/bin/NpmMirror.Cli/release/npm-mirror.dll serve "$@"
