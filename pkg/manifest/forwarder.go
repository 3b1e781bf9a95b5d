package manifest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/haproxy"
)

// runs reports whether a container's command begins with a program.
func runs(c *corev1.Container, program string) bool {
	return len(c.Command) > 0 && path.Base(c.Command[0]) == program
}

// isMaxScale reports whether a container is a MaxScale, by its command, its name or the last
// part of its image's name (…/apps:maxscale-2.5).
func isMaxScale(c *corev1.Container) bool {
	image, _, _ := strings.Cut(c.Image[strings.LastIndexByte(c.Image, '/')+1:], "@")
	words := strings.FieldsFunc(strings.ToLower(image), func(r rune) bool { return strings.ContainsRune(":-_.", r) })
	return runs(c, "maxscale") || c.Name == "maxscale" || slices.Contains(words, "maxscale") && !slices.Contains(words, "exporter")
}

// forwarder is the one container of a pod that runs HAProxy and is no enclave; nil for any
// other pod. Beside an enclave it would be in its network, and is judged as a sidecar.
func forwarder(spec *corev1.PodSpec) *corev1.Container {
	all := containersOf(spec)
	if len(all) != 1 || len(spec.Containers) != 1 || len(spec.EphemeralContainers) > 0 || isEnclave(&all[0]) || !runs(&all[0], "haproxy") {
		return nil
	}
	return &spec.Containers[0]
}

// passing judges a HAProxy. It needs no attestation if it passes on what it gets, and has
// nothing by which it could do more: no secret, no key, no word of TLS in its configuration.
// What is merely not known to be harmless can be accepted like any sidecar.
func (p Promise) passing(spec *corev1.PodSpec, c *corev1.Container, beside Manifest) []Problem {
	var problems []Problem
	add := func(deviation attest.Deviation, format string, arguments ...any) {
		problems = append(problems, Problem{c.Name, "it is a HAProxy that is not attested, and " + fmt.Sprintf(format, arguments...), deviation})
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		add("", "gets a token of the cluster: want automountServiceAccountToken: false")
	}
	for _, v := range spec.Volumes {
		if v.EmptyDir == nil && v.ConfigMap == nil && v.DownwardAPI == nil {
			add("", "has the volume %s: want none but memory and ConfigMaps", v.Name)
		}
	}
	if len(c.VolumeDevices) > 0 {
		add("", "has the device of a volume")
	}
	for _, v := range c.Env {
		if ours(v.Name) || v.ValueFrom != nil && v.ValueFrom.FieldRef == nil {
			add("", "has the variable %.100s", v.Name)
		} else {
			add(attest.Sidecar, "has the variable %.100s, which may be a part of its configuration", v.Name)
		}
	}
	if len(c.EnvFrom) > 0 {
		add("", "has variables that are kept elsewhere in the cluster (envFrom)")
	}
	files, text := configuration(spec, c, beside)
	if text != "" {
		add(attest.Sidecar, "%s", text)
	}
	for _, f := range files {
		if strings.Contains(f.text, "-----BEGIN") {
			add("", "holds a key or a certificate: %s", f.name)
		}
	}
	for _, f := range chosen(c, files) {
		for _, found := range haproxy.Judge(f.text, func(host string) bool { return p.ofChart(host, beside) }) {
			deviation := attest.Sidecar
			if found.Known {
				deviation = ""
			}
			add(deviation, "%s says %s", f.name, found.Text)
		}
	}
	return problems
}

// file is a file of a ConfigMap as a container finds it.
type file struct{ path, name, text string }

// configuration are all files that a HAProxy finds in its ConfigMaps. The text says why they
// cannot be judged: not all are in the manifest, or it reads others.
func configuration(spec *corev1.PodSpec, c *corev1.Container, beside Manifest) (all []file, problem string) {
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name && v.ConfigMap != nil })
		if i < 0 {
			continue
		}
		from := spec.Volumes[i].ConfigMap
		kept := beside.configMap(from.Name)
		if kept == nil || len(kept.BinaryData) > 0 {
			return nil, fmt.Sprintf("its ConfigMap %.100q is not in the chart, or holds what is no text", from.Name)
		}
		for key, text := range kept.Data {
			name := key
			if len(from.Items) > 0 {
				n := slices.IndexFunc(from.Items, func(item corev1.KeyToPath) bool { return item.Key == key })
				if n < 0 {
					continue
				}
				name = from.Items[n].Path
			}
			at := path.Join(m.MountPath, name)
			if m.SubPath != "" && m.SubPath != name {
				continue
			} else if m.SubPath != "" {
				at = m.MountPath
			}
			all = append(all, file{at, key + " of ConfigMap " + from.Name, text})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return all, arguments(c, all)
}

// arguments says what is wrong with the arguments of a HAProxy: each configuration that it
// reads must be one of these files.
func arguments(c *corev1.Container, files []file) string {
	words, read := slices.Concat(c.Command[1:], c.Args), false
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case slices.Contains([]string{"-W", "-Ws", "-db", "-q", "-V"}, word):
		case word == "-f" && i+1 < len(words) && slices.ContainsFunc(files, func(f file) bool { return f.path == words[i+1] }):
			i, read = i+1, true
		default:
			return fmt.Sprintf("its argument %.100q is not known: want -f with files of the chart's ConfigMaps, -W, -db", word)
		}
	}
	if !read {
		return "reads no configuration of the chart's ConfigMaps"
	}
	return ""
}

// chosen are the files that the arguments name.
func chosen(c *corev1.Container, files []file) []file {
	words := slices.Concat(c.Command[1:], c.Args)
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool { return !slices.Contains(words, f.path) })
}

// configMap is the one of a name; nil if there is none, or it cannot be read.
func (m Manifest) configMap(name string) *corev1.ConfigMap {
	i := slices.IndexFunc(m, func(o Object) bool { return o.GroupKind() == kindConfigMap && o.Name == name && len(o.Hooks()) == 0 })
	if i < 0 {
		return nil
	}
	kept, err := typed[corev1.ConfigMap](m[i])
	if err != nil {
		return nil
	}
	return kept
}

// ofChart reports whether a host (SERVICE or POD.SERVICE, with namespace or without) is
// behind a Service of the chart that selects pods.
func (p Promise) ofChart(host string, beside Manifest) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for at := range min(2, len(labels)) {
		rest := labels[at+1:]
		here := len(rest) == 0 || (p.Namespace == "" || rest[0] == p.Namespace) && (len(rest) == 1 || rest[1] == "svc")
		if here && beside.selecting(labels[at]) {
			return true
		}
	}
	return false
}

// selecting reports whether there is a Service of this name that selects pods.
func (m Manifest) selecting(name string) bool {
	return slices.ContainsFunc(m, func(o Object) bool {
		if o.GroupKind() != kindService || o.Name != name {
			return false
		}
		s, err := typed[corev1.Service](o)
		return err == nil && len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName
	})
}
