package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testCluster() Cluster {
	return Cluster{
		Server:      "https://10.87.0.1:6443",
		AdminServer: "https://127.0.0.1:4000",
		Names:       []string{"10.87.0.1", "127.0.0.1", "kubernetes.default.svc"},
		Nodes:       []string{"n1", "n2"},
		Now:         time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func TestIssueRefusesAnIncompleteCluster(t *testing.T) {
	for name, empty := range map[string]func(*Cluster){
		"server":       func(c *Cluster) { c.Server = "" },
		"admin server": func(c *Cluster) { c.AdminServer = "" },
		"names":        func(c *Cluster) { c.Names = nil },
		"nodes":        func(c *Cluster) { c.Nodes = nil },
	} {
		cluster := testCluster()
		empty(&cluster)
		if files, err := Issue(cluster); err == nil || files != nil {
			t.Errorf("without %s: got %d files and error %v, want an error only", name, len(files), err)
		}
	}
}

func TestServerCertificate(t *testing.T) {
	cluster := testCluster()
	files := issue(t, cluster)
	certificate := parse(t, files["apiserver.crt"])
	verify := func(name string, at time.Time, usage x509.ExtKeyUsage) error {
		_, err := certificate.Verify(x509.VerifyOptions{DNSName: name, CurrentTime: at, Roots: pool(files), KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
	for _, name := range []string{"kubernetes", "10.87.0.2", "cas"} {
		if verify(name, cluster.Now, x509.ExtKeyUsageServerAuth) == nil {
			t.Errorf("the API server's certificate is valid for %s, want not", name)
		}
	}
	if verify(cluster.Names[0], cluster.Now, x509.ExtKeyUsageClientAuth) == nil {
		t.Error("the API server's certificate is valid for a client")
	}
	if verify(cluster.Names[0], cluster.Now.Add(lifetime+time.Second), x509.ExtKeyUsageServerAuth) == nil {
		t.Error("the API server's certificate never expires")
	}
	for _, name := range cluster.Names {
		if err := verify(name, cluster.Now, x509.ExtKeyUsageServerAuth); err != nil {
			t.Errorf("the API server's certificate for %s: %v", name, err)
		}
	}
}

func TestCertificatesOfAnotherClusterAreRefused(t *testing.T) {
	one, other := issue(t, testCluster()), issue(t, testCluster())
	_, err := parse(t, one["kubelet-client.crt"]).Verify(x509.VerifyOptions{
		CurrentTime: testCluster().Now, Roots: pool(other), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		t.Error("another cluster's authority accepts the certificate")
	}
}

func TestKubeconfigs(t *testing.T) {
	cluster := testCluster()
	files := issue(t, cluster)
	for name, want := range map[string]struct {
		user   string
		groups []string
		server string
	}{
		"admin":              {"confidb-lab-admin", []string{"system:masters"}, cluster.AdminServer},
		"dns":                {"confidb-lab-dns", []string{"system:masters"}, cluster.Server},
		"controller-manager": {"system:kube-controller-manager", nil, cluster.Server},
		"scheduler":          {"system:kube-scheduler", nil, cluster.Server},
		"proxy":              {"system:kube-proxy", nil, cluster.Server},
		"node-n1":            {"system:node:n1", []string{"system:nodes"}, cluster.Server},
		"node-n2":            {"system:node:n2", []string{"system:nodes"}, cluster.Server},
	} {
		var config struct {
			Clusters []struct {
				Cluster struct {
					Server string
					CA     []byte `json:"certificate-authority-data"`
				}
			}
			Users []struct {
				User struct {
					Certificate []byte `json:"client-certificate-data"`
					Key         []byte `json:"client-key-data"`
				}
			}
		}
		if err := json.Unmarshal(files[name+".kubeconfig"], &config); err != nil {
			t.Errorf("%s.kubeconfig: %v", name, err)
			continue
		}
		user := config.Users[0].User
		if _, err := tls.X509KeyPair(user.Certificate, user.Key); err != nil {
			t.Errorf("%s.kubeconfig: %v", name, err)
		}
		certificate := parse(t, user.Certificate)
		if _, err := certificate.Verify(x509.VerifyOptions{CurrentTime: cluster.Now, Roots: pool(files), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s.kubeconfig: %v", name, err)
		}
		if certificate.Subject.CommonName != want.user || !cmp.Equal(certificate.Subject.Organization, want.groups) || certificate.IsCA {
			t.Errorf("%s.kubeconfig: got %s, authority %v, want user %s of %v", name, certificate.Subject, certificate.IsCA, want.user, want.groups)
		}
		if got := config.Clusters[0].Cluster; got.Server != want.server || !bytes.Equal(got.CA, files["ca.crt"]) {
			t.Errorf("%s.kubeconfig: got server %s, want %s and the cluster's authority", name, got.Server, want.server)
		}
	}
}

func TestCommandWritesPrivateFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pki")
	cluster := testCluster()
	command := NewCommand(func() time.Time { return cluster.Now })
	command.SetArgs([]string{"--dir", folder, "--server", cluster.Server, "--admin-server", cluster.AdminServer, "--name", "10.87.0.1,127.0.0.1", "--node", "n1"})
	if err := command.Execute(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: got mode %o, want 600", entry.Name(), got)
		}
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(folder, "apiserver.crt"), filepath.Join(folder, "apiserver.key")); err != nil {
		t.Error(err)
	}
}

func issue(t *testing.T, cluster Cluster) Files {
	t.Helper()
	files, err := Issue(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no PEM block")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func pool(files Files) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(files["ca.crt"])
	return roots
}
