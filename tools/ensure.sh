#!/bin/sh
# Prints a directory with the tools of one of the modules beside this file, built once from its pinned versions.
# Usage: tools/ensure.sh [module], for example `PATH=$(tools/ensure.sh protoc-gen):$PATH`; without a module, tools/go.mod.
# Only the directory goes to standard output, all else to standard error.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/cached.sh"

module=${1:-}
recipe=$here${module:+/$module}
if [ ! -f "$recipe/go.mod" ]; then
	say "tools/${module:-} has no go.mod: name one of $(cd "$here" && ls -d */ | tr -d / | tr '\n' ' ')"
	exit 2
fi

# install_tools builds every `tool` line of the module. GOOS and GOARCH are the host's: the tools run here.
install_tools() {
	GOBIN=$1 GOOS='' GOARCH='' watched "tools${module:+/$module}" "up to 5 minutes the first time on two cores" \
		go install -C "$recipe" -v tool
}

bin=$cache_root/tools${module:+-$module}-$(key_of "$recipe/go.mod" "$recipe/go.sum")
build_once "$bin" install_tools
echo "$bin"
