package attest

// Deviations of pods, which the policy names under accept-deviations. Each makes a proof
// a warning.
const (
	// PrivilegedPod is a container that is privileged or has added capabilities.
	PrivilegedPod Deviation = "privileged-pod"
	// HostPath is a volume that is a folder of the node.
	HostPath Deviation = "host-path"
	// HostNamespaces is a pod in the network, process or IPC namespace of the node.
	HostNamespaces Deviation = "host-namespaces"
	// SharedProcesses is a pod whose containers see each other's processes.
	SharedProcesses Deviation = "shared-processes"
	// OtherVolume is a volume of a kind of which it is not known who fills it.
	OtherVolume Deviation = "other-volume"
	// SconeMode is SCONE_MODE other than hw, also when it is not set.
	SconeMode Deviation = "scone-mode"
	// AllowDlopen is SCONE_ALLOW_DLOPEN other than off, where no setting that stands
	// beside a measurement says so.
	AllowDlopen Deviation = "allow-dlopen"
	// LoaderEnvironment is a variable such as LD_PRELOAD.
	LoaderEnvironment Deviation = "loader-environment"
	// RuntimeEnvironment is a variable of SCONE's runtime that this program does not know.
	RuntimeEnvironment Deviation = "runtime-environment"
	// UnreadEnvironment is a variable whose value is kept elsewhere in the cluster.
	UnreadEnvironment Deviation = "unread-environment"
	// Sidecar is a container that is no enclave of the release.
	Sidecar Deviation = "sidecar"
	// UnknownCASData is a member in the report of a CAS that this program does not know.
	UnknownCASData Deviation = "unknown-cas-data"
)

// Deviations are all that a policy can name.
func Deviations() []Deviation {
	return []Deviation{
		UnprotectedVolume, PrivilegedPod, HostPath, HostNamespaces, SharedProcesses, OtherVolume,
		SconeMode, AllowDlopen, LoaderEnvironment, RuntimeEnvironment, UnreadEnvironment, Sidecar, UnknownCASData,
	}
}
