package verbs

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

const sessionPlanKind = "confidb.session-plan/v1"

// sessionPlan is an update that is written down, so that somebody else can look at it
// and sign it. What it means is worked out anew by whoever reads it.
type sessionPlan struct {
	Kind string `json:"kind"`
	// CAS is the address of the CAS that was asked.
	CAS  string `json:"cas"`
	Name string `json:"name"`
	// Predecessor is the hash of the version that CAS has, and From its text.
	Predecessor string `json:"predecessor"`
	From        string `json:"from"`
	// To is the text that is uploaded, with the predecessor in it. It is what is signed.
	To           string          `json:"to"`
	AllowReissue bool            `json:"allowReissue"`
	Signatures   []planSignature `json:"signatures"`
}

// planSignature is one author's. Foreign means that it is over a message that SCONE's
// program made, so that only CAS can tell whether it matches.
type planSignature struct {
	session.Signature
	Foreign bool `json:"foreign,omitempty"`
}

func readPlan(path string) (*sessionPlan, change, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, change{}, fmt.Errorf("reading the plan: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var p sessionPlan
	if err := decoder.Decode(&p); err != nil {
		return nil, change{}, fmt.Errorf("reading the plan: %s: %w", path, err)
	}
	if p.Kind != sessionPlanKind {
		return nil, change{}, fmt.Errorf("reading the plan: %s: kind: got %q, want %q", path, p.Kind, sessionPlanKind)
	}
	c, err := p.change()
	if err != nil {
		return nil, change{}, fmt.Errorf("reading the plan: %s: %w", path, err)
	}
	return &p, c, nil
}

// change works out what the plan does, and that it is one plan.
func (p *sessionPlan) change() (change, error) {
	from, err := session.Parse("from", []byte(p.From))
	if err != nil {
		return change{}, err
	}
	to, err := session.Parse("to", []byte(p.To))
	if err != nil {
		return change{}, err
	}
	switch {
	case from.Name != p.Name || to.Name != p.Name:
		return change{}, fmt.Errorf("got the names %q, %q and %q, want one", p.Name, from.Name, to.Name)
	case !strings.EqualFold(to.Predecessor, p.Predecessor):
		return change{}, fmt.Errorf("predecessor: got %q in the new text, want %q", to.Predecessor, p.Predecessor)
	}
	for i, s := range p.Signatures {
		if err := s.check([]byte(p.To)); err != nil {
			return change{}, fmt.Errorf("signatures[%d]: %w", i, err)
		}
	}
	return newChange(from, to), nil
}

// signers counts the different keys that signed, however they are written down.
func (p *sessionPlan) signers() int {
	keys := map[string]bool{}
	for _, s := range p.Signatures {
		if block, _ := pem.Decode([]byte(s.Signer)); block != nil {
			keys[string(block.Bytes)] = true
		}
	}
	return len(keys)
}

func (s planSignature) check(message []byte) error {
	key, err := parsePublicKey(s.Signer)
	if err != nil || s.Foreign {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(s.Signature.Signature)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	digest := sha512.Sum384(message)
	good := false
	switch key := key.(type) {
	case ed25519.PublicKey:
		good = ed25519.Verify(key, message, raw)
	case *ecdsa.PublicKey:
		good = key.Curve == elliptic.P384() && ecdsa.VerifyASN1(key, digest[:], raw)
	}
	if !good {
		return errors.New("it is not over this text, or the key is neither Ed25519 nor P-384")
	}
	return nil
}

func parsePublicKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("signer: want a public key in PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// PlanSession are the options of writing an update down.
type PlanSession struct {
	UpdateSession
	// To is the file of the plan.
	To string
}

// AddFlags registers the flags that update does not have.
func (o *PlanSession) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.To, "to", "", "file for the plan (required)")
}

// Run shows what the update would do and writes the plan.
func (o PlanSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.To == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	u, err := o.open(ctx, getter, streams)
	if err != nil {
		return err
	}
	defer u.close()
	if u.Verdict == diff.Equal {
		fmt.Fprintf(streams.ErrOut, "session %q: nothing to plan\n", u.name)
		return nil
	}
	for _, text := range []string{u.stored.Text, string(u.document)} { // a plan goes to others
		if err := refuseWrittenSecrets(u.name, []byte(text)); err != nil {
			return err
		}
	}
	plan := sessionPlan{Kind: sessionPlanKind, CAS: u.attested.Pin.Address, Name: u.name, Predecessor: u.stored.Hash, From: u.stored.Text, To: string(u.document), AllowReissue: o.AllowReissue}
	if err := plan.write(o.To); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "wrote %s; next: kubectl confidb session sign %s --key KEY.pem, then session apply\n", o.To, o.To)
	return nil
}

func (p *sessionPlan) write(path string) error {
	p.Signatures = append([]planSignature{}, p.Signatures...)
	return writeDocument(path, p)
}

// writeDocument replaces a file as a whole.
func writeDocument(path string, document any) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".confidb-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(temporary.Name()) // fails after the rename, as it should
	if _, err := temporary.Write(append(text, '\n')); err != nil {
		temporary.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := temporary.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(temporary.Name(), path)
}

// SignPlan are the options of signing a plan.
type SignPlan struct {
	// Plan is the file, Key that of the private key, and Message that of what SCONE's
	// program wants signed instead of the text; empty for the text.
	Plan, Key, Message string
	// Output is one of printers.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *SignPlan) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Key, "key", "", "private key in PEM (PKCS#8): Ed25519 or P-384 (required)")
	flags.StringVar(&o.Message, "message", "", "file with the message to be signed, as scone session sign makes it (default: the text of the session)")
	flags.StringVarP(&o.Output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: text)")
}

// Run shows what the plan does, and adds a signature to it.
func (o SignPlan) Run(streams genericiooptions.IOStreams) error {
	if o.Key == "" {
		return cli.NewUsageError("--key: want the file of a private key")
	}
	plan, c, err := readPlan(o.Plan)
	if err != nil {
		return err
	}
	if err := (changeDocument{"confidb.session-update/v1", fromCAS + plan.Name, o.Plan, c}).print(streams.Out, o.Output); err != nil {
		return err
	}
	message := []byte(plan.To)
	if o.Message != "" {
		if message, err = readBounded(o.Message); err != nil {
			return fmt.Errorf("--message: %w", err)
		}
	}
	signature, err := signMessage(o.Key, message)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	signature.Foreign = o.Message != ""
	plan.Signatures = slices.DeleteFunc(plan.Signatures, func(s planSignature) bool { return s.Signer == signature.Signer })
	plan.Signatures = append(plan.Signatures, signature)
	if err := plan.write(o.Plan); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "signed %s: %s\n", o.Plan, counted(len(plan.Signatures), "signature"))
	return nil
}

func signMessage(keyFile string, message []byte) (planSignature, error) {
	text, err := readBounded(keyFile)
	if err != nil {
		return planSignature{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return planSignature{}, fmt.Errorf("%s: want a private key in PEM (PKCS#8)", keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return planSignature{}, fmt.Errorf("%s: want a private key in PEM (PKCS#8)", keyFile)
	}
	var raw []byte
	var public crypto.PublicKey
	switch key := parsed.(type) {
	case ed25519.PrivateKey:
		raw, public = ed25519.Sign(key, message), key.Public()
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P384() {
			return planSignature{}, fmt.Errorf("%s: got %s, want Ed25519 or P-384", keyFile, key.Curve.Params().Name)
		}
		digest := sha512.Sum384(message)
		if raw, err = ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			return planSignature{}, err
		}
		public = key.Public()
	default:
		return planSignature{}, fmt.Errorf("%s: got %T, want Ed25519 or P-384", keyFile, parsed)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return planSignature{}, err
	}
	signer := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	return planSignature{Signature: session.Signature{Signer: signer, Signature: base64.StdEncoding.EncodeToString(raw)}}, nil
}

// ApplyPlan are the options of carrying a plan out.
type ApplyPlan struct {
	SessionFlags
	// Plan is the file.
	Plan string
	// Signers is how many different people must have signed.
	Signers int
	// Output is one of printers.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *ApplyPlan) AddFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flags.IntVar(&o.Signers, "signers", 1, "how many different keys must have signed the plan; 0 uploads it as yourself")
	flags.StringVarP(&o.Output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: text)")
}

// Run carries a plan out, unless CAS has moved since it was made. Who must sign is
// also said by the session that CAS has, in access_policy.update, and CAS enforces it.
func (o ApplyPlan) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	plan, c, err := readPlan(o.Plan)
	if err != nil {
		return err
	}
	if signers := plan.signers(); signers < o.Signers {
		return fmt.Errorf("the plan has the signatures of %s, want at least %d: kubectl confidb session sign %s --key KEY.pem", counted(signers, "key"), o.Signers, o.Plan)
	}
	if broken := c.breaks(); len(broken) > 0 && !plan.AllowReissue {
		return &ReissueError{broken}
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	if address := connection.attested.Pin.Address; address != plan.CAS {
		return fmt.Errorf("the plan is for the CAS %s, got %s", plan.CAS, address)
	}
	stored, err := connection.Session(ctx, plan.Name)
	if err != nil {
		return err
	}
	if applied, err := session.Parse(plan.Name, []byte(stored.Text)); err == nil && plan.is(applied) {
		fmt.Fprintf(streams.ErrOut, "session %q: the plan was carried out before\n", plan.Name)
		return nil
	}
	if !strings.EqualFold(stored.Hash, plan.Predecessor) || stored.Text != plan.From {
		return &MovedError{plan.Name}
	}
	if err := (changeDocument{"confidb.session-update/v1", fromCAS + plan.Name, o.Plan, c}).print(streams.Out, o.Output); err != nil {
		return err
	}
	hash, err := plan.upload(ctx, connection.Client)
	if errors.Is(err, cas.ErrMoved) {
		return &MovedError{plan.Name}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "session %q was updated: hash %s\n", plan.Name, hash)
	return nil
}

// is reports whether a session is what the plan makes.
func (p *sessionPlan) is(s *session.Session) bool {
	to, err := session.Parse(p.Name, []byte(p.To))
	return err == nil && strings.EqualFold(s.Predecessor, p.Predecessor) && session.Equal(s, to)
}

func (p *sessionPlan) upload(ctx context.Context, c *cas.Client) (string, error) {
	if len(p.Signatures) == 0 {
		return c.CreateSession(ctx, []byte(p.To))
	}
	var signatures []session.Signature
	for _, s := range p.Signatures {
		signatures = append(signatures, s.Signature)
	}
	return c.PutSignedSession(ctx, []byte(p.To), signatures)
}

// SessionHistory are the options of listing the versions of a session.
type SessionHistory struct {
	SessionFlags
	Name string
	// Output is one of printers.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *SessionHistory) AddFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flags.StringVarP(&o.Output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: text)")
}

// sessionVersion is one version, and what it changed.
type sessionVersion struct {
	Hash        string        `json:"hash"`
	Predecessor string        `json:"predecessor"`
	Verdict     diff.Verdict  `json:"verdict,omitempty"`
	Changes     []diff.Change `json:"changes"`
}

// maxVersions bounds how far back is looked.
const maxVersions = 1000

// Run prints the versions, newest first.
func (o SessionHistory) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	versions, err := history(ctx, connection.Client, o.Name)
	if err != nil {
		return err
	}
	if o.Output != "" {
		return printers.Encode(streams.Out, o.Output, map[string]any{"kind": "confidb.session-history/v1", "name": o.Name, "versions": versions})
	}
	var b strings.Builder
	for _, v := range versions {
		verdict := string(v.Verdict)
		if v.Predecessor == "" {
			verdict = "first version"
		}
		fmt.Fprintf(&b, "%s  %s\n", v.Hash, verdict)
		for _, x := range v.Changes {
			printers.Wrap(&b, fmt.Sprintf("  %-6s ", x.Kind), x.Who+" "+x.What)
		}
	}
	_, err = streams.Out.Write([]byte(b.String()))
	return err
}

func history(ctx context.Context, c *cas.Client, name string) ([]sessionVersion, error) {
	var versions []sessionVersion
	seen := map[string]bool{}
	var newer *session.Session
	for hash := ""; len(versions) < maxVersions; {
		stored, err := c.SessionVersion(ctx, name, hash)
		if err != nil {
			return nil, err
		}
		s, err := session.Parse(name, []byte(stored.Text))
		if err != nil {
			return nil, fmt.Errorf("reading the session that CAS holds: %w", err)
		}
		if hash != "" && !strings.EqualFold(stored.Hash, hash) || seen[strings.ToLower(stored.Hash)] {
			return nil, fmt.Errorf("reading session %q: got the version %s, want %s: CAS's history does not hold together", name, stored.Hash, hash)
		}
		seen[strings.ToLower(stored.Hash)] = true
		if newer != nil {
			d := diff.Compare(s, newer)
			last := &versions[len(versions)-1]
			last.Verdict, last.Changes = d.Verdict, d.Changes
		}
		versions = append(versions, sessionVersion{Hash: stored.Hash, Predecessor: s.Predecessor, Changes: []diff.Change{}})
		if newer, hash = s, s.Predecessor; hash == "" {
			return versions, nil
		}
	}
	return versions, nil
}
