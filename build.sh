#!/usr/bin/env bash
# Builds the program into artifacts/npm-mirror, when something has changed: native where it can be.
# NPM_MIRROR_BUILD=jit builds the program that runs on the .NET runtime (store.module needs it); =native fails where only that one can be had.
set -euo pipefail
cd "$(dirname "$0")"
folder=artifacts/npm-mirror stamp=artifacts/npm-mirror.stamp
project=src/NpmMirror.Cli/NpmMirror.Cli.csproj
wanted=${NPM_MIRROR_BUILD:-}
case "$wanted" in
'' | native | jit) ;;
*)
  echo "NPM_MIRROR_BUILD is “$wanted”; give native or jit, or leave it out." >&2
  exit 1
  ;;
esac

# Where a native program can be built: a runtime identifier, or nothing and the reason.
runtime='' reason=''
if [[ $wanted != jit ]]; then
  case "$(uname -sm)" in
  'Linux x86_64') runtime=linux-x64 ;;
  'Linux aarch64') runtime=linux-arm64 ;;
  *) reason="it is built on Linux alone, for x64 and arm64" ;;
  esac
  [[ ! -e /etc/alpine-release ]] || runtime='' reason="it is built with glibc alone, and this system has musl"
  # The compiler takes clang where it is, else gcc, to link; crt1.o stands for what the C library's package adds.
  linker=$(command -v clang || command -v gcc || true)
  if [[ -n $runtime ]] && ! { [[ -n $linker && $("$linker" -print-file-name=crt1.o) == */* ]] && command -v objcopy >/dev/null; }; then
    runtime='' reason="a linker is missing (on Debian: apt-get install gcc libc6-dev)"
  fi
fi

# One build at a time: a second one would write into the same folders, and finds nothing to do afterwards.
mkdir -p artifacts
if command -v flock >/dev/null; then
  exec 9>artifacts/npm-mirror.lock
  flock -w 1800 9
fi

# A build that has nothing to do takes seconds; looking for newer files does not. A folder is newer when a file in it is gone.
asked="$wanted $runtime"
if [[ -f $stamp && $(<"$stamp") == "$asked" && -d $folder ]] && [[ -z $(find src Directory.*.props global.json .editorconfig build.sh -newer "$stamp" -print -quit) ]]; then
  exit 0
fi

# Its time is that of the beginning: what changes during the build is built the next time.
echo "$asked" >"$stamp.next"
why="for the first time, with a download of packages"
[[ ! -d $folder ]] || why="because its source has changed since the last build"
[[ ! -f $stamp || $(<"$stamp") == "$asked" ]] || why="in another form"
publish() {
  rm -rf "$folder.next"
  timeout 1800 dotnet publish "$project" -c Release -o "$folder.next" -v quiet --nologo -nodeReuse:false -p:UseSharedCompilation=false "$@" >&2 9>&-
}

# Packages that cannot be had are a reason for the other build; code that cannot be built is not.
restore() { timeout 300 dotnet restore "$project" -v quiet --nologo -nodeReuse:false "$@" >&2 9>&-; }

if [[ -n $runtime ]]; then
  echo "Building npm-mirror $why: a native program, two to four minutes. Later starts build nothing." >&2
  restore -p:NativeRuntime="$runtime" || runtime='' reason="the native compiler's packages cannot be had from the NuGet source that is configured"
fi

if [[ -n $reason && $wanted == native ]]; then
  echo "The native program cannot be built: $reason." >&2
  exit 1
fi

if [[ -n $runtime ]]; then
  publish -p:NativeRuntime="$runtime"
else
  [[ -z $reason ]] || echo "There is no native program here: $reason. The one that runs on the .NET runtime starts more slowly." >&2
  echo "Building npm-mirror $why: a program for the .NET runtime, about a minute. Later starts build nothing." >&2
  ahead=()
  if [[ "$(uname -sm)" == "Linux x86_64" ]] && restore -p:CompiledAhead=true; then
    ahead=(-p:CompiledAhead=true)
  fi
  publish ${ahead[@]+"${ahead[@]}"}
fi

# The old program goes when the new one is whole. A build that was ended by a signal may count as done.
if [[ ! -f $folder.next/npm-mirror ]]; then
  echo "The build ended without a program; run ./build.sh again." >&2
  exit 1
fi

rm -rf "$folder"
mv "$folder.next" "$folder"
mv "$stamp.next" "$stamp"
