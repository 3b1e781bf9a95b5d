// Package pki makes the certificates, keys and kubeconfigs of a throw-away
// Kubernetes control plane.
//
// It knows the names that Kubernetes gives to its own components. It does not
// know how the components are started, and it never reads an existing key.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime is long enough for any laboratory and ends by itself.
const lifetime = 90 * 24 * time.Hour

// Cluster says for whom identities are made. The zero value is not valid.
type Cluster struct {
	Server      string   // https URL of the API server inside the cluster
	AdminServer string   // https URL of the API server for the administrator
	Names       []string // IP addresses and DNS names of the API server
	Nodes       []string
	Now         time.Time
}

// Files maps file names to contents.
type Files map[string][]byte

// Issue makes everything anew:
//
//	ca.crt ca.key                       the cluster's one authority
//	apiserver.crt apiserver.key         the API server
//	kubelet-client.crt kubelet-client.key   the API server as client of kubelets
//	sa.pub sa.key                       service account tokens
//	NAME.kubeconfig                     admin, dns, controller-manager, scheduler, proxy, node-<node>
func Issue(cluster Cluster) (Files, error) {
	if cluster.Server == "" || cluster.AdminServer == "" || len(cluster.Names) == 0 || len(cluster.Nodes) == 0 {
		return nil, errors.New("issuing cluster certificates: want two server URLs, server names and nodes, got an empty one")
	}
	authority, err := newAuthority(cluster.Now)
	if err != nil {
		return nil, err
	}
	files := Files{"ca.crt": authority.certPEM, "ca.key": authority.keyPEM}
	if err := addServiceAccountKey(files); err != nil {
		return nil, err
	}
	for name, template := range map[string]*x509.Certificate{
		"apiserver":      serverTemplate(cluster.Names),
		"kubelet-client": clientTemplate("kube-apiserver-kubelet-client", "system:masters"),
	} {
		issued, err := authority.issue(template, cluster.Now)
		if err != nil {
			return nil, fmt.Errorf("issuing %s: %w", name, err)
		}
		files[name+".crt"], files[name+".key"] = issued.certPEM, issued.keyPEM
	}
	for _, user := range users(cluster) {
		issued, err := authority.issue(clientTemplate(user.name, user.groups...), cluster.Now)
		if err != nil {
			return nil, fmt.Errorf("issuing %s: %w", user.file, err)
		}
		text, err := kubeconfig(user, authority.certPEM, issued)
		if err != nil {
			return nil, err
		}
		files[user.file+".kubeconfig"] = text
	}
	return files, nil
}

// Save writes the files into folder, which it makes, readable by the owner only.
func (files Files) Save(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// user is somebody who talks to the API server.
type user struct {
	file   string
	name   string
	groups []string
	server string
}

func users(cluster Cluster) []user {
	list := []user{
		{"admin", "confidb-lab-admin", []string{"system:masters"}, cluster.AdminServer},
		{"dns", "confidb-lab-dns", []string{"system:masters"}, cluster.Server},
		{"controller-manager", "system:kube-controller-manager", nil, cluster.Server},
		{"scheduler", "system:kube-scheduler", nil, cluster.Server},
		{"proxy", "system:kube-proxy", nil, cluster.Server},
	}
	for _, node := range cluster.Nodes {
		list = append(list, user{"node-" + node, "system:node:" + node, []string{"system:nodes"}, cluster.Server})
	}
	return list
}

// identity is a certificate and its key.
type identity struct {
	cert            *x509.Certificate
	key             *ecdsa.PrivateKey
	certPEM, keyPEM []byte
}

func newAuthority(now time.Time) (identity, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "confidb-lab cluster"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	authority, err := identity{}.issue(template, now)
	if err != nil {
		return identity{}, fmt.Errorf("making the cluster's authority: %w", err)
	}
	return authority, nil
}

func serverTemplate(names []string) *x509.Certificate {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

func clientTemplate(name string, groups ...string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// issue signs a certificate for a new key. The zero identity signs its own.
func (parent identity) issue(template *x509.Certificate, now time.Time) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	template.NotBefore = now.Add(-time.Hour) // clocks differ
	template.NotAfter = now.Add(lifetime)
	signer, signerKey := parent.cert, parent.key
	if signer == nil {
		signer, signerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signerKey)
	if err != nil {
		return identity{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return identity{}, err
	}
	keyPEM, err := privatePEM(key)
	if err != nil {
		return identity{}, err
	}
	return identity{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM}, nil
}

func addServiceAccountKey(files Files) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("making the service account key: %w", err)
	}
	files["sa.pub"] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	files["sa.key"], err = privatePEM(key)
	return err
}

// privatePEM writes SEC 1, the one form of EC keys that every Kubernetes component reads.
func privatePEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// kubeconfig writes JSON, which is YAML too.
func kubeconfig(user user, ca []byte, issued identity) ([]byte, error) {
	const context = "confidb-lab"
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": context,
		"clusters": []any{map[string]any{"name": context, "cluster": map[string]any{
			"server": user.server, "certificate-authority-data": ca,
		}}},
		"users": []any{map[string]any{"name": user.name, "user": map[string]any{
			"client-certificate-data": issued.certPEM, "client-key-data": issued.keyPEM,
		}}},
		"contexts": []any{map[string]any{"name": context, "context": map[string]any{
			"cluster": context, "user": user.name,
		}}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the kubeconfig of %s: %w", user.name, err)
	}
	return append(text, '\n'), nil
}
