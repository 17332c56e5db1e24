#!/bin/sh
# Fails when a generated file or a go.mod is not what its sources say, or when a module builds only in the workspace.
# Usage: tools/drift.sh MODULE... from the top of the repository. It compares files before and after, not with the
# last commit, so that it also answers in the middle of a change. What it found to be stale is fresh afterwards.
set -eu

listing() {
	find api proto deploy controllers docs/reference -type f -exec cksum {} + | sort -k 3
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=

listing >"$work/before"
make --no-print-directory generate manifests
listing >"$work/after"
if ! diff "$work/before" "$work/after" >"$work/diff"; then
	echo "make generate manifests changed these files; commit what it wrote:"
	awk '/^[<>]/ {print "  " $4}' "$work/diff" | sort -u
	failed=1
fi

for module in "$@"; do
	echo "tidy and build $module on its own"
	if ! (cd "$module" && GOWORK=off GOFLAGS=-mod=mod go mod tidy -diff); then
		echo "$module/go.mod or go.sum is not tidy: run make tidy"
		failed=1
	fi
	if ! (cd "$module" && GOWORK=off GOFLAGS='-mod=readonly -buildvcs=false' go build -o /dev/null ./...); then
		echo "$module does not build with GOWORK=off"
		failed=1
	fi
done
[ -z "$failed" ]
