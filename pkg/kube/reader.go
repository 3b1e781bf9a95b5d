package kube

import (
	corev1 "k8s.io/api/core/v1"
)

// Reader reads a volume as the host does: not in an enclave, and under no session. It can
// write nowhere but in its own memory.
type Reader struct {
	// Claim is the volume, which is mounted for reading only.
	Claim string
	// Security says as whom those run whose files these are; nil means as the image says.
	Security *corev1.PodSecurityContext
	// Script is run by sh with an empty folder, the volume and Nonce.
	Script, Nonce string
}

// Where the reader finds its own folder, and the volume.
const (
	readerControl = "/run/reader/control"
	readerVolume  = "/run/volume"
)

// replace makes the pod of a client that of a reader.
func (r *Reader) replace(spec *corev1.PodSpec, sgx corev1.ResourceName) {
	c := &spec.Containers[0]
	c.Command, c.Env = []string{"sh", "-c", r.Script, "reader", readerControl, readerVolume, r.Nonce}, nil
	delete(c.Resources.Limits, sgx)
	delete(c.Resources.Requests, sgx)
	c.VolumeMounts = []corev1.VolumeMount{{Name: "reader", MountPath: "/run/reader"}, {Name: "volume", MountPath: readerVolume, ReadOnly: true}}
	spec.Volumes = []corev1.Volume{
		{Name: "reader", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: "volume", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: r.Claim, ReadOnly: true}}},
	}
	s := spec.SecurityContext
	s.FSGroup = nil // it would have the kubelet change owners on the volume
	if as := r.Security; as != nil {
		s.RunAsUser, s.RunAsGroup, s.RunAsNonRoot, s.SELinuxOptions = as.RunAsUser, as.RunAsGroup, as.RunAsNonRoot, as.SELinuxOptions
		s.SupplementalGroups = append([]int64{}, as.SupplementalGroups...)
		if as.FSGroup != nil {
			s.SupplementalGroups = append(s.SupplementalGroups, *as.FSGroup)
		}
	}
}
