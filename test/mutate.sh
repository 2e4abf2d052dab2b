#!/usr/bin/env bash
# Tries small changes of the product, each alone, and tells which of them no test notices: test/mutate.sh [SEED [SAMPLE]]
# SEED chooses the changes (default: a random one), SAMPLE is their number (150). It ends with 0 when at least nine of ten were noticed, else with 1.
#
# 1. All changes are compiled into a copy of the tree (artifacts/mutations/tree), each after a switch, so one build is enough.
# 2. All tests run once to see which of them reach which switch. This takes as long as a whole ./test.sh.
# 3. Each change of the sample is tried by the tests that reach it: seconds for most, at worst some minutes. Plan an hour for 150 on two processors.
#
# It needs what ./test.sh needs and has installed: run that first. Nothing outside of artifacts is changed. Builds and tests run at the lowest priority.
# A run that was stopped goes on with the same SEED, and does steps 1 and 2 again only if a change or a commit was made meanwhile.
# test/mutate.files names the files that are changed; test/mutate.equivalents those changes that change nothing for a user, each with its reason.
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${1:-$RANDOM} sample=${2:-150}
work=artifacts/mutations
tree=$work/tree
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

commit=$(git rev-parse HEAD)$(git diff HEAD -- src test Directory.Build.props | sha256sum | cut -c1-12)
if [ "$(cat $work/commit 2>/dev/null)" != "$commit" ]; then
  echo "Building, and weaving the switches in"
  nice -n 19 dotnet build test/NpmMirror.Tests -v quiet --nologo
  nice -n 19 dotnet build test/NpmMirror.Mutations -v quiet --nologo
  mkdir -p $tree
  # What was built there before stays, so that only what changed is built again.
  find $tree -mindepth 1 -maxdepth 1 ! -name artifacts -exec rm -rf {} +
  git ls-files -co --exclude-standard | while read -r file; do [ -e "$file" ] && echo "$file"; done | tar c -T - | tar x -C $tree
  ln -sfn "$PWD/.test-tools" $tree/.test-tools
  dotnet artifacts/bin/NpmMirror.Mutations/debug/NpmMirror.Mutations.dll weave $tree artifacts/bin/NpmMirror.Tests/debug test/mutate.files
  nice -n 19 dotnet build $tree/test/NpmMirror.Tests -v quiet --nologo -p:RunAnalyzers=false -p:TreatWarningsAsErrors=false -p:EnforceCodeStyleInBuild=false -p:WarningLevel=0
  rm -f $work/recorded $work/results-*
  echo "$commit" > $work/commit
fi
exec dotnet artifacts/bin/NpmMirror.Mutations/debug/NpmMirror.Mutations.dll run $tree $work "$seed" "$sample" test/mutate.equivalents
