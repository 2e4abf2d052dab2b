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

./build.sh
program=("$PWD/artifacts/npm-mirror/npm-mirror")
[[ ! -f $program.dll ]] || program=(dotnet "$program.dll")
# Relative paths in the arguments are the caller's.
cd "$OLDPWD"
exec "${program[@]}" serve "$@"
