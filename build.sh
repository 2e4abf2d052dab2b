#!/usr/bin/env bash
# Builds the program into artifacts/npm-mirror, when something has changed: compiled ahead where it can be.
set -euo pipefail
cd "$(dirname "$0")"
program=artifacts/npm-mirror/npm-mirror.dll
# A build that has nothing to do takes seconds; looking for newer files does not. A folder is newer when a file in it is gone.
if [[ -f $program ]] && [[ -z $(find src Directory.*.props global.json .editorconfig build.sh -newer "$program" -print -quit) ]]; then
  exit 0
fi

if [[ -f $program ]]; then
  echo "Building npm-mirror: its source has changed since the last build; about a minute." >&2
else
  echo "Building npm-mirror for the first time: one to three minutes, with a download of packages. Later starts build nothing." >&2
fi

project=src/NpmMirror.Cli/NpmMirror.Cli.csproj
ahead=()
if [[ "$(uname -sm)" == "Linux x86_64" ]]; then
  if timeout 300 dotnet restore "$project" -p:CompiledAhead=true -v quiet --nologo -nodeReuse:false >&2; then
    ahead=(-p:CompiledAhead=true)
  else
    echo "The compiler that works ahead could not be had; the program is built without, and starts more slowly." >&2
  fi
fi

timeout 900 dotnet publish "$project" -c Release -o artifacts/npm-mirror -v quiet --nologo -nodeReuse:false -p:UseSharedCompilation=false ${ahead[@]+"${ahead[@]}"} >&2
touch "$program"
