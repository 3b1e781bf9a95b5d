package manifest_test

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// several is a release of several databases, with the sessions of our templates.
func several(architecture topology.Architecture) (*topology.Release, error) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		return nil, err
	}
	return topology.Prepare(topology.Plan{
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(), Architecture: architecture,
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}, topology.EnclaveMaxScale: {{4}}},
	}, nil)
}

// ownChart is our chart for several databases as it is rendered by default, under the names
// of a release's sessions.
func ownChart(t *testing.T, r *topology.Release) string {
	t.Helper()
	text, err := os.ReadFile("../charts/testdata/" + r.Architecture.String() + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("db1-00/db", r.Session(topology.Database).Name, "db1-00/maxscale", r.Session(topology.MaxScale).Name).Replace(string(text))
}

// TestOwnSessionsAndChart: the chart and the sessions for several databases fit: it may be
// installed as it is, runs each service of each instance, under the names that are in the
// certificates, and has a place for every file and volume that CAS gives.
func TestOwnSessionsAndChart(t *testing.T) {
	for _, architecture := range []topology.Architecture{topology.Replicated, topology.Sharded} {
		t.Run(architecture.String(), func(t *testing.T) { fits(t, architecture) })
	}
}

func fits(t *testing.T, architecture topology.Architecture) {
	r, err := several(architecture)
	if err != nil {
		t.Fatal(err)
	}
	p, err := manifest.Promised(r)
	if err != nil {
		t.Fatal(err)
	}
	text := ownChart(t, r)
	checked, err := p.Check([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(checked.Accepted) > 0 || checked.Client.Image != "registry.test/mariadb@sha256:00" {
		t.Errorf("got %+v", checked)
	}
	for role, tier := range map[topology.Role]string{topology.Database: "db1-mariadb", topology.MaxScale: "db1-maxscale"} {
		o := checked.Manifest[slices.IndexFunc(checked.Manifest, func(o manifest.Object) bool { return o.String() == "StatefulSet/"+tier })]
		spec := specOf(t, o)
		instances := r.Instances(role)
		if replicas := o.Content["spec"].(map[string]any)["replicas"]; replicas != float64(len(instances)) {
			t.Errorf("%s: got %v pods, want %d", tier, replicas, len(instances))
		}
		for _, i := range instances {
			if !strings.HasPrefix(i.Pod, tier+"-") || i.Host != i.Pod+"."+tier+".shop.svc" {
				t.Errorf("%s: the instance is called %s, %s", tier, i.Pod, i.Host)
			}
			if role == topology.MaxScale && !strings.Contains(text, " "+i.Host+".cluster.local:4006\n") {
				t.Errorf("HAProxy does not know %s", i.Host)
			}
		}
		own := r.Session(role)
		parsed, err := session.Parse(own.Name, []byte(own.Text))
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range parsed.Services {
			what := strings.TrimSuffix(service.Name, "-"+instances[0].Pod)
			if role == topology.Database && what == service.Name {
				continue // that of another one
			}
			if !runsService(spec, own.Name, what) {
				t.Errorf("%s: nothing runs the service %s", tier, what)
			}
			for _, image := range parsed.Images {
				if image.Name != service.ImageName {
					continue
				}
				for _, v := range image.Volumes {
					if !mounted(spec, v.Path) {
						t.Errorf("%s: nothing is mounted for %s of %s", tier, v.Path, service.Name)
					}
				}
				for _, f := range image.InjectionFiles {
					if !mounted(spec, path.Dir(f.Path)) && !mounted(spec, path.Dir(path.Dir(f.Path))) {
						t.Errorf("%s: nothing is mounted for %s of %s", tier, f.Path, service.Name)
					}
				}
			}
		}
	}
	if host, _, _ := strings.Cut(r.Host, "."); !strings.Contains(text, "kind: Service\nmetadata:\n  name: "+host+"\n") {
		t.Errorf("there is no Service of the name %s, which is in the certificate", host)
	}
}

func specOf(t *testing.T, o manifest.Object) corev1.PodSpec {
	t.Helper()
	var set struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	if err := yaml.Unmarshal(o.JSON(), &set); err != nil {
		t.Fatal(err)
	}
	return set.Spec.Template.Spec
}

// runsService reports whether a container asks for a service, or its command does.
func runsService(spec corev1.PodSpec, session, service string) bool {
	return slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
		if strings.Contains(strings.Join(c.Command, " "), "/"+service+"-${POD_NAME}") {
			return true
		}
		return slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool {
			return v.Name == "SCONE_CONFIG_ID" && (v.Value == session+"/"+service || v.Value == session+"/"+service+"-$(POD_NAME)")
		})
	})
}

func mounted(spec corev1.PodSpec, folder string) bool {
	return slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == folder })
	})
}
