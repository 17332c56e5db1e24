#!/bin/sh
# Prints a directory with the programs of real clusters, built once from pinned modules. Only the directory goes to
# standard output, all else to standard error. Usage: tools/realcluster/ensure.sh [managers|kubernetes|kubernetes-before]
#   managers           Cluster API's core, bootstrap and controlplane managers, clusterctl, and the managers' manifests
#   kubernetes         kubeadm and the control plane of the version that clusters are made at
#   kubernetes-before  the same of the patch release before, from which clusters are upgraded
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/../cached.sh"

what=${1:-}
recipe=$here/$what
if [ -z "$what" ] || [ ! -f "$recipe/go.mod" ]; then
	say "tools/realcluster/$what has no go.mod: name one of $(cd "$here" && ls -d */ | tr -d / | tr '\n' ' ')"
	exit 2
fi

# The binaries take their versions from the recipe, so that there is one place to raise them.
version_of() {
	awk -v module="$1" '$1 == module && $2 ~ /^v/ {print $2; exit}' "$recipe/go.mod"
}

# stamp PACKAGE VERSION prints the linker's flags that make a package report the version. Cluster API's managers
# refuse an API server that does not know its own, and kubeadm chooses by it.
stamp() {
	minor=$(echo "$2" | cut -d. -f2)
	printf -- '-X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean ' "$1" "$2" "$1" "$1" "$minor" "$1"
}

build() {
	watched "$1 of $what" "$3" go build -C "$recipe" -v -ldflags "$flags" -o "$out/$1" "$2"
}

kubernetes() {
	out=$1
	build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "4 to 8 minutes on two cores, seconds when the test API server was built"
	build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager "1 to 2 minutes"
	build kube-scheduler k8s.io/kubernetes/cmd/kube-scheduler "less than a minute"
	build kubeadm k8s.io/kubernetes/cmd/kubeadm "less than a minute"
	"$out/kubeadm" version -o short >"$out/version"
}

# managers also renders what Cluster API installs: its manifests come from the same module as the programs.
managers() {
	out=$1
	build core sigs.k8s.io/cluster-api/core "2 to 4 minutes on two cores"
	build bootstrap sigs.k8s.io/cluster-api/bootstrap/kubeadm "less than a minute"
	build controlplane sigs.k8s.io/cluster-api/controlplane/kubeadm "less than a minute"
	build clusterctl sigs.k8s.io/cluster-api/cmd/clusterctl "less than a minute"
	assets=$("$here/../apiserver/ensure.sh")
	source=$(go list -C "$recipe" -m -f '{{.Dir}}' sigs.k8s.io/cluster-api)
	"$assets/kubectl" kustomize "$source/core/config/default" >"$out/core.yaml"
	"$assets/kubectl" kustomize "$source/bootstrap/kubeadm/config/default" >"$out/bootstrap.yaml"
	"$assets/kubectl" kustomize "$source/controlplane/kubeadm/config/default" >"$out/controlplane.yaml"
}

case $what in
managers)
	fill=managers
	flags="-s -w $(stamp sigs.k8s.io/cluster-api/version "$(version_of sigs.k8s.io/cluster-api)")"
	;;
*)
	fill=kubernetes
	version=$(version_of k8s.io/kubernetes)
	flags="-s -w $(stamp k8s.io/component-base/version "$version")$(stamp k8s.io/client-go/pkg/version "$version")"
	;;
esac

dir=$cache_root/realcluster-$what-$(echo "$flags" | cat - "$here/ensure.sh" "$recipe/go.mod" "$recipe/go.sum" | key_of -)
build_once "$dir" "$fill"
echo "$dir"
