#!/bin/sh
# Prints a sum of the files below a path, as they are now. Usage: tools/tree.sh PATH, from the top of the repository.
# go test answers from its cache as long as a test's own module, its arguments and the variables that it reads are the same:
# with this sum as a variable, a manifest or a page that changed counts as a change.
set -eu
git ls-files -z --cached --others --exclude-standard -- "$1" | xargs -0 cksum 2>/dev/null | git hash-object --stdin
