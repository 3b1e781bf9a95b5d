// Package verbs holds what both plugins do: attest, install, verify. The plugins
// themselves only give it flags in their own style.
package verbs

import (
	"fmt"
	"io"
	"maps"
	"os"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/flags"
)

// DefaultCAS is where SCONE's operator and charts put a CAS.
const DefaultCAS = "cas.scone-system.svc"

// Trust are the flags by which the user says whom to believe.
type Trust struct {
	cas, casMRENCLAVE, policy, rootCA, collateral string
	lookupEnv                                     func(string) (string, bool)
	noQuote                                       bool // nothing is verified that would need collateral
}

// NewTrust returns flags without values. lookupEnv reads the environment.
func NewTrust(lookupEnv func(string) (string, bool)) *Trust { return &Trust{lookupEnv: lookupEnv} }

// AddFlags registers the flags.
func (t *Trust) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.cas, "cas", "", "address of the CAS: NAME.NAMESPACE.svc (reached through a port-forward) or HOST[:PORT] (default $SCONE_CAS_ADDR, else "+DefaultCAS+")")
	flags.StringVar(&t.policy, "policy", "", "file with reference values and accepted TCB deviations (kind "+policy.Kind+")")
	flags.StringVar(&t.casMRENCLAVE, "cas-mrenclave", "", "measurement that the CAS must have, 64 hexadecimal digits (default from --policy, else $CAS_MRENCLAVE)")
	flags.StringVar(&t.collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs")
	flags.StringVar(&t.rootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; everything becomes simulated (labs only)")
}

// trusted is what the flags, the files and the environment say.
type trusted struct {
	cas      string
	trust    attest.Trust
	enclaves map[string][]sgx.Measurement
	origins  map[string]string
}

// resolve reads the flags, the files they name and the environment. earlier is
// what a former run recorded, or nil; it is used where nothing is said now.
func (t *Trust) resolve(earlier *topology.Release) (*trusted, error) {
	r := &trusted{origins: map[string]string{}, enclaves: map[string][]sgx.Measurement{}}
	fallback := DefaultCAS
	if earlier != nil {
		r.trust, r.enclaves, fallback = earlier.Trust, maps.Clone(earlier.Enclaves), earlier.CASAddress
		maps.Copy(r.origins, earlier.Origins)
	}
	var origin string
	if r.cas, origin = t.first("cas", t.cas, "SCONE_CAS_ADDR", fallback); origin != byDefault || earlier == nil {
		r.origins["cas"] = origin
	}
	if t.policy != "" {
		if err := r.readPolicy(t.policy); err != nil {
			return nil, err
		}
	}
	if err := t.readMeasurement(r); err != nil {
		return nil, err
	}
	return r, t.readAnchors(r)
}

// readPolicy takes everything that a policy says, and what it does not say as not accepted.
func (r *trusted) readPolicy(path string) error {
	text, err := readBounded(path)
	if err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	p, err := policy.Parse(path, text)
	if err != nil {
		return err
	}
	r.trust.CAS, r.trust.Freshness, r.trust.RequireProvenance, r.enclaves = p.CAS, p.Freshness, p.RequireProvenance, p.Enclaves
	r.origins["policy"] = "--policy"
	return nil
}

// readMeasurement takes the CAS's measurement from the flag, or else from the
// environment, which fills in only what no flag says. A signer that the policy names
// must match as well.
func (t *Trust) readMeasurement(r *trusted) error {
	text, origin := t.first("cas-mrenclave", t.casMRENCLAVE, "CAS_MRENCLAVE", "")
	if text == "" {
		return nil
	}
	m, err := sgx.ParseMeasurement(text) // also of one that is not used: it is a mistake
	if err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	values := &r.trust.CAS.ReferenceValues
	if policySays := t.policy != "" && (len(values.MRENCLAVEs) > 0 || values.Signer != nil); policySays && t.casMRENCLAVE == "" {
		return nil
	}
	values.MRENCLAVEs, r.origins["cas-mrenclave"] = []sgx.Measurement{m}, origin
	return nil
}

func (t *Trust) readAnchors(r *trusted) error {
	if t.rootCA != "" {
		text, err := readBounded(t.rootCA)
		if err != nil {
			return fmt.Errorf("--sgx-root-ca: %w", err)
		}
		if _, err := sgx.RootFromPEM(text); err != nil {
			return fmt.Errorf("--sgx-root-ca: %s: %w", t.rootCA, err)
		}
		r.trust.RootCA, r.origins["sgx-root-ca"] = text, "--sgx-root-ca"
	}
	if t.collateral != "" {
		files, err := readCollateral(t.collateral)
		if err != nil {
			return fmt.Errorf("--collateral: %w", err)
		}
		r.trust.Collateral, r.origins["collateral"] = files, "--collateral"
	}
	if len(r.trust.Collateral) == 0 && !t.noQuote {
		return &MissingError{What: "collateral", Flag: "--collateral"}
	}
	return nil
}

// MissingError means that the user did not say something that has no safe default.
type MissingError struct{ What, Flag string }

func (e *MissingError) Error() string { return "no " + e.What + " given" }

// Hint names the flag.
func (e *MissingError) Hint() string { return "give it with " + e.Flag }

// first returns the flag's value, else the environment's, else the default, and
// the name of what it took.
func (t *Trust) first(flag, value, variable, fallback string) (got, origin string) {
	if value != "" {
		return value, "--" + flag
	}
	if v, ok := t.lookupEnv(variable); ok && v != "" {
		return v, "$" + variable
	}
	return fallback, byDefault
}

// byDefault is the origin of a value that nobody gave.
const byDefault = "default"

// maxInput bounds one input file, in bytes.
const maxInput = 4 << 20

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxInput {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, maxInput)
	}
	return text, nil
}

// readCollateral reads a folder or one bundle, and refuses what is no collateral.
func readCollateral(path string) (map[string][]byte, error) {
	files, err := flags.ReadCollateral(path)
	if err != nil {
		return nil, err
	}
	if _, err := sgx.CollateralFromFiles(files); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return files, nil
}
