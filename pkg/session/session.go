// Package session holds the SCONE session document: the security policy that a
// CAS enforces. It parses one with positions, renders one from a template,
// compares two by meaning, and says where one is weaker than it should be. It
// knows the language (0.3 to 0.3.12, as far as a database session uses it), not
// the CAS that holds a session, and does no I/O.
package session

import (
	"io/fs"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Session is a parsed document. Names are as written; Resolve makes a reference absolute.
type Session struct {
	Version       string
	Name          string
	NamespaceHash string
	// Predecessor is the hash of the version that this one replaces; empty for none.
	Predecessor  string
	Salt         string
	Services     []Service
	Secrets      []Secret
	Images       []Image
	AccessPolicy AccessPolicy
	Security     Security
	// Creator is added by CAS; nobody writes it.
	Creator string
}

// Service is a program that may get secrets when it attests.
type Service struct {
	Name string
	// Command is the program and its arguments. Empty leaves them to the host.
	Command []string
	// Environment is all that the program sees, by name.
	Environment map[string]string
	Pwd         string
	ImageName   string
	// Attestation are the accepted variants: one of them must match. Empty admits
	// nobody unless attestation is off.
	Attestation []Variant
	// Platforms are the machines on which the service may run. Empty means any.
	Platforms []attest.PlatformID
}

// Variant is a set of factors that must all match.
type Variant struct {
	// MRENCLAVEs are accepted measurements, one of which must match. Empty asks for none.
	MRENCLAVEs []sgx.Measurement
	// Signer is who must have signed the enclave; nil asks for none.
	Signer *Signer
}

// Signer accepts the enclaves of one product.
type Signer struct {
	MRSIGNER  sgx.Measurement
	ISVProdID uint16
	// MinISVSVN and MaxISVSVN bound the security version.
	MinISVSVN, MaxISVSVN uint16
}

// Kind is the kind of a secret.
type Kind string

// The kinds that a database session uses.
const (
	ASCII      Kind = "ascii"
	Binary     Kind = "binary"
	PrivateKey Kind = "private-key"
	PublicKey  Kind = "public-key"
	X509CA     Kind = "x509-ca"
	X509       Kind = "x509"
)

// Secret is a value that CAS generates, holds or imports.
type Secret struct {
	Name string
	// Kind is empty only for an import that leaves it to the exporter.
	Kind Kind
	// Size is in characters (ascii) or bytes (binary); 0 means the default of 20.
	Size int
	// Value is written in the document instead of generated; nil means generated.
	Value *string
	// KeyType is P-256, P-384, Ed25519, RSA-2048 or RSA-3072; empty means P-256.
	KeyType    string
	PrivateKey string // of a certificate or public key: the secret that holds its private key
	Issuer     string // of a certificate: the x509-ca secret that signs it
	CommonName string
	// Endpoint is server, client or empty; it sets the extended key usage.
	Endpoint string
	// SAN are alternative names such as dns:db and ip:10.0.0.1.
	SAN []string
	// ValidFor is how long a certificate lives; 0 means without end.
	ValidFor time.Duration
	// Migrate keeps a private key when the session is updated.
	Migrate bool
	Import  *Import
	Exports []Export
	// ExportPublic lets anyone read the public part.
	ExportPublic bool
}

// Import takes a secret of another session.
type Import struct{ Session, Secret string }

// Export gives a secret to another session or to all sessions of a namespace.
type Export struct{ Session, SessionHash, Namespace string }

// Image is what a service finds in its file system.
type Image struct {
	Name           string
	InjectionFiles []InjectionFile
	// ProvideSecrets limits the secrets that files of the image may use; nil means all.
	ProvideSecrets []string
}

// InjectionFile is a file that CAS puts into the enclave's memory.
type InjectionFile struct {
	Path string
	// Content may hold placeholders; nil means the file is in the image already.
	Content *string
	// Permission is 0700 unless the document says otherwise.
	Permission fs.FileMode
}

// AccessPolicy says who may do what. An empty list means CREATOR; for
// CreateSessions it means the same as Update.
type AccessPolicy struct{ Read, Update, CreateSessions []string }

// Security is what attestation demands for the whole session.
type Security struct {
	// Mode is hardware (the default), none or maa.
	Mode string
	// Tolerate names states of a platform that are accepted.
	Tolerate []string
	// IgnoreAdvisories names accepted advisories; "*" accepts all.
	IgnoreAdvisories []string
	// MustBeSGXLocal makes the platforms of services ineffective.
	MustBeSGXLocal bool
}
