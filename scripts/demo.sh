#!/usr/bin/env bash
# One real ticket from lint to committed report, in a scratch clone, so that your tree stays as it is.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scratch="$root/.demo/exp-demo"
PATH="$root/.venv/bin:$PATH"
export PATH
unset EXP_WORKSPACE GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE

show() {
    printf '\n\033[1;36m$ %s\033[0m\n' "$*"
    "$@"
}

# An earlier demo that was interrupted may still train: stop it before its folder goes.
if [ -d "$scratch/.exp" ]; then
    (cd "$scratch" && exp run stop --all >/dev/null 2>&1) || true
fi
rm -rf "$root/.demo"
mkdir -p "$root/.demo"
if git -C "$root" rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    git clone --quiet --no-hardlinks "$root" "$scratch"
else
    # Not a clone (an unpacked archive): the demo makes a repository of its own.
    mkdir -p "$scratch"
    tar -C "$root" --exclude=./.demo --exclude=./.venv --exclude=./.exp -cf - . | tar -C "$scratch" -xf -
    git -C "$scratch" init --quiet --initial-branch=demo
    git -C "$scratch" add --all
    git -C "$scratch" -c user.name=demo -c user.email=demo@localhost commit --quiet -m "Demo"
fi
cd "$scratch"
git checkout --quiet -B demo
git config user.name >/dev/null || git config user.name "exp demo"
git config user.email >/dev/null || git config user.email "demo@localhost"

show exp ticket lint
show exp ticket start T-0017 --follow
show exp status
show exp ticket show T-0017
show exp report T-0017
show git --no-pager log -1 --stat
printf '\nThe scratch clone stays in %s\n' "$scratch"
