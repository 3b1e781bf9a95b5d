package flags

import (
	"fmt"
	"maps"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// DefaultCAS is where SCONE's operator and charts put a CAS.
const DefaultCAS = "cas.scone-system.svc"

// Trust are the flags by which the user says whom to believe.
type Trust struct {
	// CAS is the address; empty means $SCONE_CAS_ADDR or the usual one.
	CAS string
	// Policy, Collateral and RootCA are names of files, or of a folder.
	Policy, Collateral, RootCA string
	// NoQuote means that nothing is verified that would need collateral.
	NoQuote bool

	casMRENCLAVE string
	lookupEnv    func(string) (string, bool)
}

// NewTrust returns flags without values. lookupEnv reads the environment.
func NewTrust(lookupEnv func(string) (string, bool)) *Trust { return &Trust{lookupEnv: lookupEnv} }

// AddFlags registers the flags.
func (t *Trust) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.CAS, "cas", "", "address of the CAS: NAME.NAMESPACE.svc (reached through a port-forward) or HOST[:PORT] (default $SCONE_CAS_ADDR, else "+DefaultCAS+")")
	flags.StringVar(&t.Policy, "policy", "", "file with reference values and accepted TCB deviations (kind "+policy.Kind+")")
	flags.StringVar(&t.casMRENCLAVE, "cas-mrenclave", "", "measurement that the CAS must have, 64 hexadecimal digits (default from --policy, else $CAS_MRENCLAVE)")
	flags.StringVar(&t.Collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs")
	flags.StringVar(&t.RootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; everything becomes simulated (labs only)")
}

// Trusted is what the flags, the files and the environment say.
type Trusted struct {
	// CAS is its address.
	CAS   string
	Trust attest.Trust
	// Enclaves are the measurements of the policy, by enclave name.
	Enclaves map[string][]sgx.Measurement
	// Origins say where each of them came from.
	Origins map[string]string
}

// Resolve reads the flags, the files they name and the environment. earlier is
// what a former run recorded, or nil; it is used where nothing is said now.
func (t *Trust) Resolve(earlier *topology.Release) (*Trusted, error) {
	r := &Trusted{Origins: map[string]string{}, Enclaves: map[string][]sgx.Measurement{}}
	fallback := DefaultCAS
	if earlier != nil {
		r.Trust, r.Enclaves, fallback = earlier.Trust, maps.Clone(earlier.Enclaves), earlier.CASAddress
		maps.Copy(r.Origins, earlier.Origins)
	}
	var origin string
	if r.CAS, origin = First(t.lookupEnv, "cas", t.CAS, "SCONE_CAS_ADDR", fallback); origin != ByDefault || earlier == nil {
		r.Origins["cas"] = origin
	}
	if t.Policy != "" {
		if err := r.readPolicy(t.Policy); err != nil {
			return nil, err
		}
	}
	if err := t.readMeasurement(r); err != nil {
		return nil, err
	}
	return r, t.readAnchors(r)
}

// Address is the address of the CAS, or empty, and where it comes from.
func (t *Trust) Address() (address, origin string) {
	return First(t.lookupEnv, "cas", t.CAS, "SCONE_CAS_ADDR", "")
}

// readPolicy takes everything that a policy says, and what it does not say as not accepted.
func (r *Trusted) readPolicy(path string) error {
	text, err := files.Read(path)
	if err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	p, err := policy.Parse(path, text)
	if err != nil {
		return err
	}
	r.Trust.CAS, r.Trust.Freshness, r.Trust.RequireProvenance, r.Enclaves = p.CAS, p.Freshness, p.RequireProvenance, p.Enclaves
	r.Origins["policy"] = "--policy"
	return nil
}

// readMeasurement takes the CAS's measurement from the flag, or else from the
// environment, which fills in only what no flag says. A signer that the policy names
// must match as well.
func (t *Trust) readMeasurement(r *Trusted) error {
	text, origin := First(t.lookupEnv, "cas-mrenclave", t.casMRENCLAVE, "CAS_MRENCLAVE", "")
	if text == "" {
		return nil
	}
	m, err := sgx.ParseMeasurement(text) // also of one that is not used: it is a mistake
	if err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	values := &r.Trust.CAS.ReferenceValues
	if policySays := t.Policy != "" && (len(values.MRENCLAVEs) > 0 || values.Signer != nil); policySays && t.casMRENCLAVE == "" {
		return nil
	}
	values.MRENCLAVEs, r.Origins["cas-mrenclave"] = []sgx.Measurement{m}, origin
	return nil
}

func (t *Trust) readAnchors(r *Trusted) error {
	if t.RootCA != "" {
		text, err := files.Read(t.RootCA)
		if err != nil {
			return fmt.Errorf("--sgx-root-ca: %w", err)
		}
		if _, err := sgx.RootFromPEM(text); err != nil {
			return fmt.Errorf("--sgx-root-ca: %s: %w", t.RootCA, err)
		}
		r.Trust.RootCA, r.Origins["sgx-root-ca"] = text, "--sgx-root-ca"
	}
	if t.Collateral != "" {
		texts, err := readCollateral(t.Collateral)
		if err != nil {
			return fmt.Errorf("--collateral: %w", err)
		}
		r.Trust.Collateral, r.Origins["collateral"] = texts, "--collateral"
	}
	if len(r.Trust.Collateral) == 0 && !t.NoQuote {
		return &MissingError{What: "collateral", Flag: "--collateral"}
	}
	return nil
}

// MissingError means that the user did not say something that has no safe default.
type MissingError struct{ What, Flag string }

func (e *MissingError) Error() string { return "no " + e.What + " given" }

// Hint names the flag.
func (e *MissingError) Hint() string { return "give it with " + e.Flag }

// First returns the flag's value, else the environment's, else the default, and the
// name of what it took.
func First(lookupEnv func(string) (string, bool), flag, value, variable, fallback string) (got, origin string) {
	if value != "" {
		return value, "--" + flag
	}
	if v, ok := lookupEnv(variable); ok && v != "" {
		return v, "$" + variable
	}
	return fallback, ByDefault
}

// ByDefault is the origin of a value that nobody gave.
const ByDefault = "default"

// readCollateral reads a folder or one bundle, and refuses what is no collateral.
func readCollateral(path string) (map[string][]byte, error) {
	texts, err := ReadCollateral(path)
	if err != nil {
		return nil, err
	}
	if _, err := sgx.CollateralFromFiles(texts); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return texts, nil
}
