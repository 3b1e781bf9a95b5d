package pcs

import (
	"crypto/tls"
	"net/http"
	"time"
)

// NewClient makes requests through the proxy of the environment, if it names one.
// insecure accepts whatever certificate a service shows. The worth of collateral does
// not depend on who serves it: all of it is signed, and its dates and numbers are
// compared. TLS keeps others from seeing which machines there are, and from holding
// back an update; many a PCCS has a certificate that nobody knows.
func NewClient(insecure bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure},
	}}
}
