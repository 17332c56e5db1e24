#!/bin/sh
# Prints a directory that holds etcd, kube-apiserver and kubectl, the programs that the tests and the demo start.
# Only the directory goes to standard output, all else to standard error. The first that has them wins:
# KUBEBUILDER_ASSETS, the cache, the archives of envtest where they can be reached, a build from pinned modules.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/../cached.sh"

# The binaries take their versions from the recipes, so that there is one place to raise them.
version_of() {
	awk -v module="$2" '$1 == module && $2 ~ /^v/ {print $2; exit}' "$here/$1/go.mod"
}
kubernetes=$(version_of kubernetes k8s.io/kubernetes)
minor=$(echo "$kubernetes" | cut -d. -f2)

# Cluster API's managers refuse an API server that does not know its version.
stamp=k8s.io/component-base/version
flags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean"

# within SECONDS COMMAND... runs the command and ends it when the time is over.
within() {
	seconds=$1
	shift
	"$@" &
	child=$!
	while [ "$seconds" -gt 0 ] && kill -0 "$child" 2>/dev/null; do
		sleep 1
		seconds=$((seconds - 1))
	done
	kill "$child" 2>/dev/null || true
	status=0
	wait "$child" || status=$?
	child=
	return "$status"
}

# download fetches the archive of envtest for the same Kubernetes minor version. Its index must answer within 20
# seconds; the archive itself has ten minutes, which is longer than the build takes.
download() {
	archives=$staging/archives
	say "asking for a prebuilt API server ..."
	go build -C "$here/setup-envtest" -o "$staging/setup-envtest" sigs.k8s.io/controller-runtime/tools/setup-envtest >&2 || return 1
	within 20 "$staging/setup-envtest" list "1.$minor.x" --bin-dir "$archives" >"$staging/index" 2>/dev/null || return 1
	grep -q available "$staging/index" || return 1
	say "downloading a prebuilt API server ..."
	within 600 "$staging/setup-envtest" use "1.$minor.x" --bin-dir "$archives" -p path >"$staging/found" || return 1
	found=$(cat "$staging/found")
	cp "$found/etcd" "$found/kube-apiserver" "$found/kubectl" "$1/"
}

build() {
	say "building etcd and an API server from their modules, once for this Go version, into $cache_root"
	watched etcd "1 to 2 minutes on two cores" \
		go build -C "$here/etcd" -v -ldflags "-s -w" -o "$1/etcd" go.etcd.io/etcd/server/v3
	watched kube-apiserver "4 to 8 minutes on two cores" \
		go build -C "$here/kubernetes" -v -ldflags "$flags" -o "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
	watched kubectl "about 1 minute" \
		go build -C "$here/kubernetes" -v -ldflags "$flags" -o "$1/kubectl" k8s.io/kubernetes/cmd/kubectl
}

# fill puts the programs into a directory and proves that they start.
fill() {
	if ! download "$1"; then
		say "no prebuilt API server within reach"
		rm -f "$1"/*
		build "$1"
	fi
	"$1/etcd" --version >&2
	"$1/kube-apiserver" --version >&2
}

given=${KUBEBUILDER_ASSETS:-}
if [ -n "$given" ]; then
	if [ -x "$given/etcd" ] && [ -x "$given/kube-apiserver" ]; then
		echo "$given"
		exit 0
	fi
	say "KUBEBUILDER_ASSETS=$given holds no etcd and kube-apiserver; looking elsewhere"
fi

recipe=$(echo "$flags" | cat - "$here"/etcd/go.* "$here"/kubernetes/go.* | key_of -)
assets=$cache_root/apiserver-$recipe
build_once "$assets" fill
echo "$assets"
