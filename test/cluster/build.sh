#!/usr/bin/env bash
# Builds the lab's cluster binaries (kubelab, coredns, helm) into the cache and
# prints the folder that holds them. The folder's name is a hash of everything
# that goes in, so a second call only prints. The first takes 10 to 20 minutes.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=progress.sh
. "$here/progress.sh"
cd "$here"
key=$(cat go.mod go.sum build.sh kubelab/main.go coredns/main.go <(go env GOVERSION GOARCH) | sha256sum | cut -c1-16)
out=$cache/cluster-$key
progress=$out/progress
if [ -e "$out/complete" ]; then
	echo "$out"
	exit 0
fi
mkdir -p "$out"
exec 9>"$out.lock" # two builds at once would only slow each other down
until flock --timeout "$beat" 9; do
	say "cluster programs: another build of them is at work: $(cat "$progress" 2>/dev/null)"
done
if [ -e "$out/complete" ]; then
	echo "$out"
	exit 0
fi

kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${kubernetes#v1.}
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do # or /version says v0.0.0-master
	ldflags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
done
helm=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)
helm_ldflags="-s -w -X helm.sh/helm/v3/internal/version.version=$helm -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=${minor%%.*}"

# build NAME LDFLAGS PACKAGE
build() {
	local started=$SECONDS stale
	go list -deps "$3" 2>&1 >/dev/null | follow "modules of $1" ""
	stale=$(CGO_ENABLED=0 go list -trimpath -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$3" | grep -c .) || true # none: linking only
	say "cluster programs: building $1 ($stale packages)"
	CGO_ENABLED=0 go build -v -trimpath -ldflags "$2" -o "$out/$1" "$3" 2>&1 | follow "$1" "$stale"
	say "cluster programs: built $1 in $((SECONDS - started)) s"
}
build kubelab "$ldflags" ./kubelab
build coredns "-s -w" ./coredns
build helm "$helm_ldflags" helm.sh/helm/v3/cmd/helm
for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
	ln -sf kubelab "$out/$component"
done
touch "$out/complete"
echo "$out"
