#!/usr/bin/env bash
# Prints the lab's storage: the default StorageClass "local" and volumes on each
# node. usage: storage.sh VOLUMES-PER-NODE NODE…
set -euo pipefail
count=$1
shift
cat <<-END
	apiVersion: storage.k8s.io/v1
	kind: StorageClass
	metadata:
	  name: local
	  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
	provisioner: kubernetes.io/no-provisioner
	volumeBindingMode: WaitForFirstConsumer
END
for node in "$@"; do
	for number in $(seq "$count"); do
		cat <<-END
			---
			apiVersion: v1
			kind: PersistentVolume
			metadata: {name: $node-$number}
			spec:
			  capacity: {storage: 10Gi}
			  accessModes: [ReadWriteOnce]
			  storageClassName: local
			  persistentVolumeReclaimPolicy: Retain
			  local: {path: /var/lib/confidb-lab/volumes/$number}
			  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]}]}}
		END
	done
done
