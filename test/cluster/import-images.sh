#!/usr/bin/env bash
# Runs on a node: gives containerd the images of /run/lab/images that it has not got yet.
set -euo pipefail
mkdir -p /run/node/imported
for image in "$@"; do
	if ! cmp --silent "/run/lab/images/$image.digest" "/run/node/imported/$image"; then
		ctr --address /run/containerd/containerd.sock --namespace k8s.io images import "/run/lab/images/$image.tar"
		cp "/run/lab/images/$image.digest" "/run/node/imported/$image"
	fi
done
