package las

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// serviceAccount is where Kubernetes puts a pod's credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// resourcePath is the status of the operator's custom resource for LAS.
const resourcePath = "/apis/base.scone.cloud/v1beta1/las/las/status"

// nodeStatus is what the operator writes of one node. From SCONE 7 it knows no
// public key.
type nodeStatus struct {
	PublicKey      *string `json:"publicKey"` // null removes an earlier one
	IsReady        bool    `json:"isReady"`
	LastProbedAt   string  `json:"lastProbedAt"`
	LastComputedAt string  `json:"lastComputedAt"`
}

// errNoResource means that the cluster has no custom resource for LAS.
var errNoResource = errors.New("no custom resource for LAS")

// fillResource writes this node into the status of the LAS resource as the
// operator does.
func fillResource(ctx context.Context, node string, generation Generation, qeID [16]byte, now time.Time) error {
	stamp := now.UTC().Format(time.RFC3339)
	status := nodeStatus{IsReady: true, LastProbedAt: stamp, LastComputedAt: stamp}
	if generation == 6 {
		key := SCONEKey(qeID)
		status.PublicKey = &key
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"state": "HEALTHY", "nodes": map[string]any{node: status}}})
	if err != nil {
		return err
	}
	client, err := inCluster()
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(serviceAccount, "token"))
	if err != nil {
		return err
	}
	url := "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")) + resourcePath
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, bytes.NewReader(patch))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	request.Header.Set("Content-Type", "application/merge-patch+json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound:
		return errNoResource
	case response.StatusCode != http.StatusOK:
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // only to say more
		return fmt.Errorf("HTTP status %d: %s", response.StatusCode, text)
	}
	return nil
}

func inCluster() (*http.Client, error) {
	authority, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", serviceAccount)
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}
