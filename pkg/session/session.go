// Package session holds the SCONE session document: the security policy that a
// CAS enforces. It parses one with positions, prints and edits one, renders one
// from a template, compares two by meaning, and says where one is weaker than it
// should be. It knows the language (0.3 to 0.3.12), not the CAS that holds a
// session, and does no I/O.
package session

import (
	"io/fs"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/sgx"
)

// Session is a parsed document. Names are as written; Resolve makes a reference absolute.
type Session struct {
	Version       string
	Name          string
	NamespaceHash string
	// Predecessor is the hash of the version that this one replaces; empty for none.
	Predecessor string
	Salt        string
	Services    []Service
	Secrets     []Secret
	// SecretConfig is what the document says there, as encoding/json would read it:
	// the reference does not say what it may be. Nil means nothing.
	SecretConfig any
	Volumes      []Volume
	Images       []Image
	AccessPolicy AccessPolicy
	Security     Security
	// Creator is added by CAS; nobody writes it.
	Creator string

	file   string
	source []byte
	root   *document.Node
	// part is where in the file the document is; nil if it is all of it.
	part *document.Origin
	// err is what is wrong with the document; nil but for what Read returns.
	err error
	// files are those of the values that Effective has put in.
	files map[*document.Node]origin
}

// Service is a program that may get secrets when it attests.
type Service struct {
	Name string
	// Command is the program and its arguments; @@1 is the first argument that the
	// host gives. Empty leaves them to the host.
	Command []string
	// Environment is all that the program sees, by name. HostVariable tells the
	// names whose values come from the host.
	Environment map[string]string
	Pwd         string
	ImageName   string
	// FSPFPath is the file that protects the file system of the image.
	FSPFPath string
	// FSPFKey is 64 hexadecimal digits or a placeholder.
	FSPFKey          string
	FSPFTag          string
	FSPFUpdatePolicy string
	// Attestation are the accepted variants: one of them must match. Empty admits
	// nobody unless attestation is off.
	Attestation []Variant
	// AttestationIsList means that the document has a list of variants, of which
	// one must match, and not a mapping, whose factors must all match.
	AttestationIsList bool
	// Platforms are the machines on which the service may run. Empty means any, if
	// PlatformSecrets is empty too.
	Platforms []attest.PlatformID
	// PlatformSecrets are the secrets that hold further platform IDs.
	PlatformSecrets []string
	// OneTimePassword is the shared secret of this service's one-time passwords.
	OneTimePassword string
}

// Variant is a set of factors that must all match.
type Variant struct {
	// Fragment is the config-fragment that holds the variant, or empty. Then there
	// are no other factors.
	Fragment string
	// MRENCLAVEs are accepted measurements, one of which must match. Empty asks for
	// none, if MRENCLAVEFragments is empty too.
	MRENCLAVEs []sgx.Measurement
	// MRENCLAVEFragments are the secrets that hold further measurements.
	MRENCLAVEFragments []string
	// Signer is who must have signed the enclave; nil asks for none.
	Signer *Signer
}

// Signer accepts the enclaves of one product.
type Signer struct {
	// Fragment is the config-fragment that holds the rest, or empty.
	Fragment  string
	MRSIGNER  sgx.Measurement
	ISVProdID uint16
	// MinISVSVN and MaxISVSVN bound the security version.
	MinISVSVN, MaxISVSVN uint16
}

// Kind is the kind of a secret.
type Kind string

// The kinds of the language.
const (
	ASCII          Kind = "ascii"
	Binary         Kind = "binary"
	PrivateKey     Kind = "private-key"
	PublicKey      Kind = "public-key"
	X509CA         Kind = "x509-ca"
	X509           Kind = "x509"
	ConfigFragment Kind = "config-fragment"
	AADToken       Kind = "aad-token"
	PGPKey         Kind = "pgp-key"
	JWT            Kind = "jwt"
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
	// Fragment is the value of a config-fragment, as encoding/json would read it;
	// nil for other kinds.
	Fragment any
	// KeyType is P-256, P-384, Ed25519, RSA-2048 or RSA-3072; empty means P-256.
	KeyType    string
	PrivateKey string // of a certificate or public key: the secret that holds its private key
	Issuer     string // of a certificate: the x509-ca secret that signs it
	CommonName string
	// Endpoint is server, client or empty; it sets the extended key usage.
	Endpoint string
	// SAN are alternative names such as dns:db and ip:10.0.0.1. What the older key
	// dns lists is here too.
	SAN []string
	// ValidFor is how long a certificate lives; 0 means without end.
	ValidFor time.Duration
	// Migrate keeps a private key when the session is updated.
	Migrate bool
	renew   bool // migrate: false is written, which to CAS is the same as nothing
	Import  *Import
	// AAD and JWT are what the kinds aad-token and jwt need; nil for others.
	AAD *AADCredentials
	JWT *JWTClaims
	// ImportAKV takes the value from Azure Key Vault; nil for another source.
	ImportAKV *AKVImport
	Exports   []Export
	// ExportPublic lets anyone read the public part.
	ExportPublic bool
}

// Peer is another session, perhaps one in another CAS.
type Peer struct {
	// Session is a name, which may be relative; see Session.Resolve.
	Session string
	// SessionHash is the one version that is meant; empty for any.
	SessionHash string
	// CASURL is the other CAS; empty for this one.
	CASURL string
	// CASKey or CASSoftwareKey identifies the other CAS.
	CASKey, CASSoftwareKey string
}

// Remote reports whether the session is in another CAS.
func (p Peer) Remote() bool { return p.CASURL != "" || p.CASKey != "" || p.CASSoftwareKey != "" }

// Import takes a secret of another session.
type Import struct {
	Peer
	Secret string
}

// AADCredentials are those with which CAS asks Azure's directory for a token: a shared
// secret, or the private key (PEM) of a certificate with its thumbprint.
type AADCredentials struct{ TenantID, ClientID, ApplicationSecret, PrivateKey, Thumbprint string }

// JWTClaims are what CAS signs into a token.
type JWTClaims struct {
	// Signer is the private-key secret, and Algorithm that of the signature.
	Signer, Algorithm string
	// ValidFor is how long a token counts; 0 is without end.
	ValidFor time.Duration
	Payload  map[string]string
}

// AKVImport takes a secret from Azure Key Vault.
type AKVImport struct{ Vault, SecretName, Token, DecryptionKey string }

// Export gives a secret to another session or to all sessions of a namespace.
type Export struct {
	Peer
	// Namespace is empty for an export to one session.
	Namespace string
}

// Volume is a protected directory that services share by name.
type Volume struct {
	Name string
	// Files is encrypted or authenticated-only; empty leaves it to CAS.
	Files string
	// FSPFKey and FSPFTag are empty for a volume that its first user initialises.
	FSPFKey, FSPFTag string
	Exports          []VolumeExport
	Import           *VolumeImport
}

// VolumeExport gives a volume to another session.
type VolumeExport struct {
	Export
	UpdatePolicy, VolumeAlias string
}

// VolumeImport takes a volume of another session.
type VolumeImport struct {
	Peer
	Volume string
}

// Image is what a service finds in its file system.
type Image struct {
	Name           string
	Volumes        []ImageVolume
	InjectionFiles []InjectionFile
	// ProvideSecrets limits the secrets that files of the image may use; nil means all.
	ProvideSecrets []string
}

// ImageVolume is where a volume is in an image.
type ImageVolume struct {
	Name, Path string
	// UpdatePolicy is rollback_protected, ephemeral, no_rollback_protection or empty.
	UpdatePolicy string
}

// InjectionFile is a file that CAS puts into the enclave's memory.
type InjectionFile struct {
	Path string
	// Content may hold placeholders; nil means the file is in the image already.
	Content *string
	// Permission is 0700 unless the document says otherwise.
	Permission fs.FileMode
}

// Security is what attestation demands for the whole session.
type Security struct {
	// Fragment is the config-fragment that holds the whole section, AttestationFragment
	// the one that holds its attestation; empty if the document says it itself.
	Fragment, AttestationFragment string
	// Mode is hardware (the default), none or maa.
	Mode string
	// Tolerate names states of a platform that are accepted. As in the two lists
	// below, an entry may be a placeholder.
	Tolerate []string
	// IgnoreAdvisories names accepted advisories; "*" accepts all.
	IgnoreAdvisories []string
	// TrustedSCONEQEPubkeys are the keys of quoting enclaves, 64 hexadecimal digits.
	TrustedSCONEQEPubkeys []string
	// MustBeSGXLocal makes the platforms of services ineffective.
	MustBeSGXLocal bool
	// OneTimePassword is the shared secret of one-time passwords of all services.
	OneTimePassword string
	// SingletonEnclaves lets each enclave get its secrets once.
	SingletonEnclaves bool
	// ServiceAccessToken is what a client must give in SCONE_SERVICE_ACCESS_TOKEN.
	ServiceAccessToken string
	// MAA is about the provider for the mode maa, and zero for others.
	MAA MAA
}

// MAA says how Microsoft Azure Attestation is asked.
type MAA struct {
	URL string
	// Certificates are those of authorities (PEM) that may vouch for it; none means
	// those that CAS knows.
	Certificates []string
	// MinRSABits is the least size of its signing keys; 0 leaves it to CAS.
	MinRSABits int
}
