package scripttest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// leaveInstalled records a release of our own chart in the namespace default, with the
// sessions that install makes, and gives the cluster Helm's record of it. A file says which
// applications of the user's own there are, and which there shall be (changing). No CAS has
// the sessions.
func (w *world) leaveInstalled(arguments []string) error {
	if len(arguments) < 1 || len(arguments) > 2 || w.cluster == nil {
		return errors.New("usage: installed NAME [FILE], after cluster")
	}
	var own struct {
		Applications topology.Applications  `json:"applications"`
		Changing     *topology.Applications `json:"changing"`
	}
	if len(arguments) > 1 {
		if err := yaml.UnmarshalStrict([]byte(w.ReadFile(arguments[1])), &own); err != nil {
			return err
		}
	}
	r, err := installed(arguments[0], own.Applications)
	if err != nil {
		return err
	}
	r.Changing, r.Trust.RootCA = own.Changing, w.authority.RootPEM()
	if r.Trust.Collateral, err = w.signed(time.Now()); err != nil {
		return err
	}
	w.cluster.helm.Store(helmSecret(r))
	return (record.Store{Dir: w.Getenv("CONFIDB_HOME")}).SaveRelease(w.Getenv("CLUSTER"), r)
}

// installed is a release that was installed, in a namespace whose name everybody knows.
func installed(name string, own topology.Applications) (*topology.Release, error) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("1", 32))
	if err != nil {
		return nil, err
	}
	var sql strings.Builder
	for _, table := range topology.SystemTables() {
		sql.WriteString("CREATE TABLE IF NOT EXISTS " + table + " (a INT);\n")
	}
	r, err := topology.Prepare(topology.Plan{
		Name: name, Namespace: "default", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{id}, BootstrapSQL: sql.String(), Applications: own,
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
		Values:   map[string]any{"image": "registry.test/db:1"}, Pod: topology.Pod{SGXResource: "sgx.intel.com/enclave"},
		Trust: attest.Trust{CAS: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{measured()}}}},
	}, nil)
	if err != nil {
		return nil, err
	}
	for i := range r.Members {
		r.Members[i].Session.Hash = strings.Repeat("c", 64)
	}
	r.HelmStarted = time.Unix(1, 0).UTC()
	return r, nil
}

// helmSecret is what Helm keeps of the release: JSON, compressed, in base64.
func helmSecret(r *topology.Release) *corev1.SecretList {
	text, _ := json.Marshal(map[string]any{ // of texts and numbers
		"name": r.Name, "namespace": r.Namespace, "version": 1, "info": map[string]any{"status": "deployed"},
		"chart": map[string]any{"metadata": map[string]any{"name": "mariadb", "version": "1.0.0"}}, "manifest": "# " + r.Session(topology.Database).Name + "\n",
	})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(text) // into memory
	_ = z.Close()
	return &corev1.SecretList{
		TypeMeta: metav1.TypeMeta{Kind: "SecretList", APIVersion: "v1"},
		Items: []corev1.Secret{{
			ObjectMeta: metav1.ObjectMeta{Name: "sh.helm.release.v1." + r.Name + ".v1", Namespace: r.Namespace, Labels: map[string]string{"owner": "helm", "name": r.Name, "status": "deployed", "version": "1"}},
			Type:       "helm.sh/release.v1", Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))},
		}},
	}
}
