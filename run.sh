#!/usr/bin/env bash
# Builds what has changed and runs `npm-mirror serve`; arguments are passed on.
set -euo pipefail
folder=${BASH_SOURCE[0]%/*}
[[ $folder != "${BASH_SOURCE[0]}" ]] || folder=.
cd "$folder"

if ! command -v dotnet >/dev/null || ! dotnet --list-sdks 2>/dev/null | grep -q '^10\.'; then
  echo "npm-mirror needs the .NET 10 SDK: install the package dotnet-sdk-10.0 or your platform's installer, then run this again." >&2
  exit 1
fi

program=artifacts/bin/NpmMirror.Cli/release/npm-mirror.dll
# A build that has nothing to do takes seconds; looking for newer files does not. A folder is newer when a file in it is gone.
if [[ ! -f $program ]] || [[ -n $(find src Directory.*.props global.json .editorconfig -newer "$program" -print -quit) ]]; then
  dotnet build src/NpmMirror.Cli/NpmMirror.Cli.csproj -c Release -v quiet --nologo -clp:NoSummary >&2
  touch "$program"
fi
# Relative paths in the arguments are the caller's.
program="$PWD/$program"
cd "$OLDPWD"
exec dotnet "$program" serve "$@"
