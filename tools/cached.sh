# Sourced by the ensure.sh scripts: things that are built once and kept outside of the tree, so that a second clone
# need not build them again. Nothing here writes to standard output but key_of and now.

# A caller's GOFLAGS, workspace or C compiler must not change what is built here.
export GOWORK=off GOFLAGS='-mod=readonly -buildvcs=false' CGO_ENABLED=0

cache_root=${CAPMAAS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/capmaas}
staging=
lock=
child=

say() {
	echo "$*" >&2
}

# Every script takes --cached before its other arguments: then it builds nothing, and ends with 3 where there is something to build.
cached_only=
if [ "${1:-}" = --cached ]; then
	cached_only=yes
	shift
fi

now() {
	date +%s
}

# key_of FILE... prints a key for what the files, the Go version and the platform decide.
key_of() {
	{
		go env GOVERSION GOOS GOARCH
		cat "$@"
	} | git hash-object --stdin | cut -c1-16
}

# clean_up ends a build that was interrupted and removes what it left; a lock goes only when it is ours.
clean_up() {
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
	[ -z "$staging" ] || rm -rf "$staging"
	if [ -n "$lock" ] && [ "$(readlink "$lock" 2>/dev/null)" = "$$" ]; then rm -f "$lock"; fi
}

# watched LABEL USUALLY COMMAND... runs the command, says every 15 seconds how far it is, and shows its output when it fails.
watched() {
	label=$1 usually=$2
	shift 2
	log=$staging/log
	started=$(now)
	spoke=$started
	say "$label: started; takes $usually"
	"$@" >"$log" 2>&1 &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		sleep 1
		[ $(($(now) - spoke)) -ge 15 ] || continue
		spoke=$(now)
		say "$label: $((spoke - started)) s, $(grep -cv '^go: ' "$log" || true) packages compiled"
	done
	status=0
	wait "$child" || status=$?
	child=
	if [ "$status" -ne 0 ]; then
		cat "$log" >&2
		say "$label: did not build (exit $status); the lines above say why"
		return "$status"
	fi
	say "$label: done in $(($(now) - started)) s"
}

# take_lock DIR waits until this process may build DIR, or until another one has built it.
# The lock is a link that names its holder: made in one step, and a dead holder's is taken over.
# Two that take over at once both build, which costs time only: the finished directory is put in place by a rename.
take_lock() {
	lock=$1.lock
	spoke=0
	until ln -s "$$" "$lock" 2>/dev/null; do
		[ ! -d "$1" ] || return 0
		holder=$(readlink "$lock" 2>/dev/null) || continue
		if ! kill -0 "$holder" 2>/dev/null; then
			rm -f "$lock"
			continue
		fi
		if [ $(($(now) - spoke)) -ge 15 ]; then
			spoke=$(now)
			say "waiting for process $holder, which builds $1 (if it does not, remove $lock)"
		fi
		sleep 1
	done
}

# build_once DIR COMMAND... makes DIR unless it is there: the command gets the path of a directory to fill,
# which becomes DIR only when the command succeeds.
build_once() {
	dir=$1
	shift
	[ ! -d "$dir" ] || return 0
	if [ -n "$cached_only" ]; then
		say "$dir is not built"
		exit 3
	fi
	mkdir -p "$cache_root"
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	take_lock "$dir"
	if [ ! -d "$dir" ]; then
		staging=$(mktemp -d "$cache_root/building.XXXXXX")
		mkdir "$staging/out"
		"$@" "$staging/out"
		mv "$staging/out" "$dir"
	fi
	clean_up
	staging= lock=
}
