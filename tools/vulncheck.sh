#!/bin/sh
# Says which known vulnerabilities the code of the given modules reaches when it is built with the given Go.
# Usage: tools/vulncheck.sh GOVERSION MODULE..., for example `tools/vulncheck.sh go1.26.11 api`.
# The database is, in this order:
#   GOVULNDB   a URL of the protocol that govulncheck speaks, for example https://vuln.go.dev
#   VULNDB     a version of the module golang.org/x/vulndb, which holds the entries of vuln.go.dev; "latest" is one
#   neither    the version below: the same commit then gets the same answer, and one that is as old as that version
# Raise it with every release and whenever somebody looks: nothing that became known later is found.
# A module in which nothing was found is not searched again until its sources, the Go or the database are others.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/cached.sh"
toolchain=$1
shift
pinned=v0.0.0-20261105234957-e22db6528018

# directory_of VERSION prints where the Go module cache has this version of the database.
directory_of() {
	go mod download -json "golang.org/x/vulndb@$1" | awk -F '"' '$2 == "Dir" {print $4}'
}

# sources_of MODULE prints a sum of what is searched: its Go files, those of our modules that it is built with, and the
# versions of all others.
sources_of() {
	(
		cd "$1"
		set -- ':(top,exclude)*_test.go'
		for dir in . $(sed -n 's|.* => \(\.\./[^ ]*\)$|\1|p' go.mod); do
			set -- "$@" "$dir/*.go" "$dir/go.mod" "$dir/go.sum"
		done
		files=$(git ls-files --cached --others --exclude-standard -- "$@") || exit 1
		[ -n "$files" ] || exit 1
		echo "$files" | xargs cksum 2>/dev/null | git hash-object --stdin
	)
}

# passed MODULE prints the file that says that nothing was found in it as it is now. A live database has no such files.
passed() {
	[ -z "${GOVULNDB:-}" ] || return 1
	sources=$(sources_of "$1") || return 1
	echo "$cache_root/vulncheck/$(echo "$toolchain $database $bin $sources" | git hash-object --stdin)"
}

database=${GOVULNDB:-}
if [ -z "$database" ]; then
	directory=$(cd "$here/govulncheck" && directory_of "${VULNDB:-$pinned}")
	[ -d "$directory/data/osv" ] || { say "golang.org/x/vulndb@${VULNDB:-$pinned} can't be had"; exit 2; }
	database=file://$directory/data/osv
fi
bin=$("$here/ensure.sh" govulncheck)
say "vulnerabilities as known to $database, standard library of $toolchain"

failed=
for module in "$@"; do
	mark=$(passed "$module") || mark=
	if [ -n "$mark" ] && [ -f "$mark" ]; then
		echo "govulncheck $module: nothing was found in the same sources before"
		continue
	fi
	echo "govulncheck $module"
	if report=$(cd "$module" && GOTOOLCHAIN=$toolchain "$bin/govulncheck" -db "$database" ./... 2>&1); then
		[ -z "$mark" ] || { mkdir -p "$cache_root/vulncheck" && touch "$mark"; }
	else
		failed="$failed $module"
	fi
	# A function of the standard library is reached in hundreds of ways; three of each show where to look.
	echo "$report" | awk '/^ *#[0-9]+:/ {if (++shown > 3) next} /^Vulnerability/ {shown = 0} {print}'
done
[ -z "$failed" ] || { echo "govulncheck complains about:$failed"; exit 1; }
