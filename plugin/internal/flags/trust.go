package flags

import (
	"fmt"
	"maps"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// DefaultCAS is where SCONE's operator and charts put a CAS.
const DefaultCAS = "cas.scone-system.svc"

// Trust are the flags by which the user says whom to believe.
type Trust struct {
	// LookupEnv reads the environment.
	LookupEnv func(string) (string, bool)
	// CAS is the address; empty means $SCONE_CAS_ADDR or the usual one.
	CAS string
	// Policy, Collateral and RootCA are names of files, or of a folder.
	Policy, Collateral, RootCA string
	// NoQuote means that nothing is verified that would need collateral.
	NoQuote bool

	casMRENCLAVE string
}

// AddFlags registers the flags.
func (t *Trust) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.CAS, "cas", "", "address of the CAS: NAME.NAMESPACE.svc (reached through a port-forward) or HOST[:PORT] (default $SCONE_CAS_ADDR, else "+DefaultCAS+")")
	flags.StringVar(&t.Policy, "policy", "", "file with reference values and accepted TCB deviations (kind "+policy.Kind+")")
	flags.StringVar(&t.casMRENCLAVE, "cas-mrenclave", "", "measurement that the CAS must have, 64 hexadecimal digits (default from --policy, else $CAS_MRENCLAVE)")
	flags.StringVar(&t.Collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs")
	flags.StringVar(&t.RootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; everything becomes simulated (labs only)")
}

// AddJudgeFlags registers those by which a release that runs is judged otherwise than by
// its record.
func (t *Trust) AddJudgeFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.Policy, "policy", "", "judge by this policy (kind "+policy.Kind+") instead of the recorded one")
	flags.StringVar(&t.Collateral, "collateral", "", "judge by the collateral in this folder or bundle.json instead of the recorded one, which grows old")
	flags.StringVar(&t.RootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; everything becomes simulated (labs only)")
}

// Judge returns what was promised, with what is believed now: what the flags say, and what
// was recorded where they say nothing. The environment has no say.
func (t *Trust) Judge(promised *topology.Release) (*topology.Release, error) {
	if t.Policy+t.Collateral+t.RootCA == "" {
		return promised, nil
	}
	now := *t
	now.LookupEnv = func(string) (string, bool) { return "", false }
	plan, err := now.Resolve(promised)
	if err != nil {
		return nil, err
	}
	judged := *promised
	judged.Trust, judged.Enclaves, judged.Settings, judged.Origins = plan.Trust, plan.Enclaves, plan.Settings, plan.Origins
	return &judged, nil
}

// Resolve returns a plan of which all is set that is about trust: the CAS and its address,
// the measurements of enclaves, and the origins. It reads the flags, the files that they
// name and the environment. earlier is what a former run recorded, or nil; it is used where
// nothing is said now.
func (t *Trust) Resolve(earlier *topology.Release) (*topology.Plan, error) {
	r := &topology.Plan{Origins: map[string]string{}, Enclaves: map[string][]sgx.Measurement{}}
	fallback := DefaultCAS
	if earlier != nil {
		r.Trust, r.Enclaves, r.Settings, fallback = earlier.Trust, maps.Clone(earlier.Enclaves), earlier.Settings, earlier.CASAddress
		maps.Copy(r.Origins, earlier.Origins)
	}
	var origin string
	if r.CASAddress, origin = First(t.LookupEnv, "cas", t.CAS, "SCONE_CAS_ADDR", fallback); origin != ByDefault || earlier == nil {
		r.Origins["cas"] = origin
	}
	if t.Policy != "" { // what it does not say is not accepted
		p, err := readPolicy(t.Policy)
		if err != nil {
			return nil, err
		}
		r.Trust.CAS, r.Trust.Freshness, r.Trust.RequireProvenance, r.Trust.Deviations, r.Trust.MaxOutside = p.CAS, p.Freshness, p.RequireProvenance, p.Deviations, p.MaxOutside
		r.Enclaves, r.Settings = p.Enclaves, p.Settings
		r.Origins["policy"] = "--policy"
	}
	if err := t.readMeasurement(r); err != nil {
		return nil, err
	}
	return r, t.readAnchors(r)
}

// Address is the address of the CAS, or empty, and where it comes from.
func (t *Trust) Address() (address, origin string) {
	return First(t.LookupEnv, "cas", t.CAS, "SCONE_CAS_ADDR", "")
}

// readMeasurement takes the CAS's measurement from the flag, or else from the
// environment, which fills in only what no flag says. A signer that the policy names
// must match as well.
func (t *Trust) readMeasurement(r *topology.Plan) error {
	text, origin := First(t.LookupEnv, "cas-mrenclave", t.casMRENCLAVE, "CAS_MRENCLAVE", "")
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

// readAnchors reads the root and the collateral.
func (t *Trust) readAnchors(r *topology.Plan) (err error) {
	if t.RootCA != "" {
		if r.Trust.RootCA, _, err = readRoot(t.RootCA); err != nil {
			return err
		}
		r.Origins["sgx-root-ca"] = "--sgx-root-ca"
	}
	if t.Collateral != "" {
		if r.Trust.Collateral, _, err = readCollateral(t.Collateral); err != nil {
			return err
		}
		r.Origins["collateral"] = "--collateral"
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
