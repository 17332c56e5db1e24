#!/bin/sh
# Says which known vulnerabilities the code of the given modules reaches when it is built with the given Go.
# Usage: tools/vulncheck.sh GOVERSION MODULE..., for example `tools/vulncheck.sh go1.26.11 api`.
# The database is, in this order:
#   GOVULNDB   a URL of the protocol that govulncheck speaks, for example https://vuln.go.dev
#   VULNDB     a version of the module golang.org/x/vulndb, which holds the entries of vuln.go.dev; "latest" is one
#   neither    the version below: the same commit then gets the same answer, and one that is as old as that version
# Raise it with every release and whenever somebody looks: nothing that became known later is found.
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
	echo "govulncheck $module"
	report=$(cd "$module" && GOTOOLCHAIN=$toolchain "$bin/govulncheck" -db "$database" ./... 2>&1) || failed="$failed $module"
	# A function of the standard library is reached in hundreds of ways; three of each show where to look.
	echo "$report" | awk '/^ *#[0-9]+:/ {if (++shown > 3) next} /^Vulnerability/ {shown = 0} {print}'
done
[ -z "$failed" ] || { echo "govulncheck complains about:$failed"; exit 1; }
