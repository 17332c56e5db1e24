#!/bin/sh
# Writes what a release publishes beside its images into a directory: the components, metadata.yaml, cluster templates and
# ClusterClasses, as clusterctl looks for them. Usage: tools/release.sh VERSION REGISTRY DIRECTORY
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
version=$1 registry=$2 out=$3

case $version in
*[!A-Za-z0-9_.-]* | '' | [!A-Za-z0-9_]*)
	echo "$version is no tag of an image" >&2
	exit 2
	;;
v[0-9]*.[0-9]*.[0-9]*)
	# clusterctl refuses a release whose series metadata.yaml does not name.
	series=$(echo "${version#v}" | cut -d. -f1,2)
	if ! awk '/major:/ {major = $NF} /minor:/ {print major "." $NF}' "$root/deploy/metadata.yaml" | grep -qxF "$series"; then
		echo "deploy/metadata.yaml names no release series $series: add it with its contract" >&2
		exit 2
	fi
	;;
esac

kustomize=$("$here/ensure.sh")/kustomize
mkdir -p "$out" "$root/dist"
overlay=$(mktemp -d "$root/dist/overlay.XXXXXX")
trap 'rm -rf "$overlay"' EXIT
cat >"$overlay/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../deploy/release
images:
- name: ghcr.io/capmaas/capmaas-manager
  newName: $registry/capmaas-manager
  newTag: "$version"
- name: ghcr.io/capmaas/capmaas-lxdprovisioner
  newName: $registry/capmaas-lxdprovisioner
  newTag: "$version"
END
"$kustomize" build "$overlay" >"$overlay/components.yaml"
mv "$overlay/components.yaml" "$out/infrastructure-components.yaml"
cp "$root/deploy/metadata.yaml" "$root"/deploy/templates/*.yaml "$out/"
