#!/usr/bin/env bash
# One revision of this mirror against another, in turn on one machine: bench/revisions.sh OLD [NEW] [options]; see bench/README.md.
set -euo pipefail
old=${1:?bench/revisions.sh OLD [NEW]: name the revision to compare with}
shift
new=HEAD
if [ $# -gt 0 ] && [[ $1 != --* ]]; then new=$1; shift; fi
source "$(dirname "$0")/tools.sh"
need_node
need_command wrk wrk
find_corpus "$@"
programs=()
for revision in "$old" "$new"; do
  commit=$(git -C "$root" rev-parse --short=12 "$revision^{commit}")
  checkout=$work/revisions/$commit
  if [ ! -e "$checkout/.built" ]; then
    echo "Building $revision ($commit)…" >&2
    rm -rf "$checkout"
    git -C "$root" worktree prune
    git -C "$root" worktree add --detach "$checkout" "$commit" >&2
    "$checkout/build.sh" >&2
    touch "$checkout/.built"
  fi
  built=$(program_of "$checkout")
  programs+=("$built")
done
exec "$node" "$bench/compare/revisions.mjs" --old "${programs[0]}" --new "${programs[1]}" --work "$work/revisions/work" --corpus "$corpus" "$@"
