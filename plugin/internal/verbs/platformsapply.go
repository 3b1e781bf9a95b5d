package verbs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

const platformsPlanKind = "confidb.platforms-plan/v1"

// platformsPlan is a change of the machines that the sessions of a release admit,
// written down for review.
type platformsPlan struct {
	Kind string `json:"kind"`
	// Cluster tells clusters apart; it is a digest.
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Before and After are the platform IDs, sorted.
	Before []string `json:"before"`
	After  []string `json:"after"`
	// Sessions are uploaded in this order: clients first, so that an old client never
	// meets a machine that only the database admits.
	Sessions []plannedSession `json:"sessions"`
}

// plannedSession is one update. To has the predecessor in it.
type plannedSession struct {
	Name        string `json:"name"`
	Predecessor string `json:"predecessor"`
	From        string `json:"from"`
	To          string `json:"to"`
}

func (p plannedSession) change() (change, error) {
	from, err := session.Parse(p.Name, []byte(p.From))
	if err != nil {
		return change{}, err
	}
	to, err := session.Parse(p.Name, []byte(p.To))
	if err != nil {
		return change{}, err
	}
	return newChange(from, to), nil
}

// PlanPlatforms are the options of planning.
type PlanPlatforms struct {
	Name      string
	Platforms *PlatformFlags
	// Quotes prove platform IDs.
	Quotes ProvenanceFlags
	// To is the file of the plan.
	To   string
	Home string
	// Output is one of printers.Formats, or empty.
	Output string
	Now    func() time.Time
}

// AddFlags registers the flags.
func (o *PlanPlatforms) AddFlags(flags *pflag.FlagSet) {
	o.Platforms.AddFlags(flags)
	o.Quotes.AddFlags(flags)
	flags.StringVar(&o.To, "to", "", "file for the plan (required)")
	flags.StringVarP(&o.Output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: text)")
}

// Run compares the machines with the sessions and writes what would make them agree.
func (o PlanPlatforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.To == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	m, err := openMove(ctx, getter, o.Home, o.Name, o.Now)
	if err != nil {
		return err
	}
	defer m.close()
	after, err := m.findIDs(ctx, o.Platforms, &o.Quotes)
	if err != nil {
		return err
	}
	plan, err := m.plan(ctx, after)
	if err != nil {
		return err
	}
	if err := plan.show(streams.Out, o.Output); err != nil {
		return err
	}
	if len(plan.Sessions) == 0 {
		fmt.Fprintf(streams.ErrOut, "release %s/%s: the sessions admit these machines already\n", plan.Namespace, plan.Name)
		return nil
	}
	if err := writeDocument(o.To, plan); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "wrote %s; next: kubectl confidb platforms apply %s %s\n", o.To, o.Name, o.To)
	return nil
}

// findIDs asks for the machines. They must be known as well as the policy of the
// installation says, and as the flags say.
func (m *move) findIDs(ctx context.Context, flags *PlatformFlags, quotes *ProvenanceFlags) ([]attest.PlatformID, error) {
	options, err := flags.Resolve()
	if err != nil {
		return nil, err
	}
	if err := quotes.resolve(ctx, &options, m.now); err != nil {
		return nil, err
	}
	inventory, err := machines.Find(ctx, m.getter, options.Options)
	if err != nil {
		return nil, err
	}
	if err := platform.Require(inventory, m.promised.Trust.RequireProvenance); err != nil {
		return nil, err
	}
	return inventory.IDs(), nil
}

func idStrings(ids []attest.PlatformID) []string {
	all := []string{}
	for _, id := range ids {
		all = append(all, id.String())
	}
	slices.Sort(all)
	return all
}

// move is a release whose sessions are to admit other machines.
type move struct {
	*openedRelease
	*connection
	getter genericclioptions.RESTClientGetter
	id     string
	now    func() time.Time
	unlock func()
}

// openMove attests the CAS of a release afresh, and keeps other processes from it.
func openMove(ctx context.Context, getter genericclioptions.RESTClientGetter, home, name string, now func() time.Time) (*move, error) {
	known, err := openRelease(getter, home, name)
	if err != nil {
		return nil, err
	}
	id, err := known.cluster.ID()
	if err != nil {
		return nil, err
	}
	unlock, err := known.store.LockRelease(id, known.promised.Namespace, name)
	if err != nil {
		return nil, err
	}
	c, err := connectCAS(ctx, getter, known.store, known.promised.CASAddress, known.promised.Trust, now)
	if err != nil {
		unlock()
		return nil, err
	}
	return &move{known, c, getter, id, now, unlock}, nil
}

func (m *move) close() { m.connection.close(); m.unlock() }

// sessions are those that admit machines, clients first.
func (m *move) sessions() []*topology.Session {
	var all []*topology.Session
	for i := range m.promised.Members {
		if m.promised.Members[i].Role != topology.Namespace {
			all = append(all, &m.promised.Members[i].Session)
		}
	}
	return all
}

// plan works out the updates. A session in CAS that is not what was promised is not
// touched: somebody else changed it.
func (m *move) plan(ctx context.Context, after []attest.PlatformID) (*platformsPlan, error) {
	digest := sha256.Sum256([]byte(m.id))
	before := idStrings(m.promised.Platforms)
	p := &platformsPlan{Kind: platformsPlanKind, Cluster: hex.EncodeToString(digest[:8]), Namespace: m.promised.Namespace, Name: m.promised.Name, Before: before, After: idStrings(after)}
	for _, s := range m.sessions() {
		stored, from, err := fetchSession(ctx, m.Client, s.Name)
		if err != nil {
			return nil, err
		}
		if err := topology.SameSession(*s, stored); err != nil {
			return nil, err
		}
		planned, err := planned(stored, from, after)
		if err != nil {
			return nil, err
		}
		if planned != nil {
			p.Sessions = append(p.Sessions, *planned)
		}
	}
	return p, nil
}

func planned(stored *session.Stored, from *session.Session, after []attest.PlatformID) (*plannedSession, error) {
	to, err := session.Parse(from.Name, []byte(stored.Text))
	if err != nil {
		return nil, err
	}
	for _, v := range from.Services {
		if len(v.PlatformSecrets) > 0 {
			return nil, fmt.Errorf("session %q: the platforms of service %s are in a secret, want them in the session", from.Name, v.Name)
		}
		if err := to.SetPlatforms(v.Name, after); err != nil {
			return nil, err
		}
	}
	if session.Equal(from, to) {
		return nil, nil
	}
	if err := to.DropCreator(); err != nil {
		return nil, err
	}
	if err := to.SetPredecessor(stored.Hash); err != nil {
		return nil, err
	}
	p := &plannedSession{Name: from.Name, Predecessor: stored.Hash, From: stored.Text, To: string(to.Source())}
	c := newChange(from, to)
	if broken := c.breaks(); len(broken) > 0 {
		return nil, &ReissueError{broken}
	}
	return p, nil
}

// platformsChange is a plan for programs and people.
type platformsChange struct {
	*platformsPlan
	Changes map[string]diff.Diff `json:"changes"`
}

func (p *platformsPlan) show(out io.Writer, format string) error {
	c := platformsChange{p, map[string]diff.Diff{}}
	var b strings.Builder
	for _, s := range p.Sessions {
		x, err := s.change()
		if err != nil {
			return err
		}
		c.Changes[s.Name] = x.Diff
		b.WriteString(changeDocument{To: s.Name, change: x}.text() + "\n")
	}
	if format != "" {
		return printers.Encode(out, format, c)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// ApplyPlatforms are the options of carrying a plan out.
type ApplyPlatforms struct {
	Name, Plan string
	Platforms  *PlatformFlags
	// Quotes prove platform IDs.
	Quotes ProvenanceFlags
	Home   string
	Helm   release.Settings
	// NoRestart leaves the database running: that it comes back is not shown.
	NoRestart bool
	// Patience bounds how long the database may take to come back.
	Patience time.Duration
	Now      func() time.Time
}

// AddFlags registers the flags.
func (o *ApplyPlatforms) AddFlags(flags *pflag.FlagSet) {
	o.Platforms.AddFlags(flags)
	o.Quotes.AddFlags(flags)
	flags.BoolVar(&o.NoRestart, "no-restart", false, "do not restart the database; that it starts under the new sessions is then not shown")
	flags.DurationVar(&o.Patience, "patience", 3*time.Minute, "how long the database may take to come back before the sessions are set back")
}

// Run updates the sessions in step, restarts the database, and sets the sessions back
// if it does not come back. A second run goes on where the first stopped.
func (o ApplyPlatforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	plan, err := readPlatformsPlan(o.Plan)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(streams.ErrOut, o.Now)
	defer progress.Done()
	progress.Step("attesting the CAS, and comparing the machines with the plan")
	m, err := openMove(ctx, getter, o.Home, o.Name, o.Now)
	if err != nil {
		return err
	}
	defer m.close()
	now, err := m.fits(ctx, plan, o.Platforms, &o.Quotes)
	if err != nil {
		return err
	}
	for _, s := range plan.Sessions {
		progress.Step("session %s", s.Name)
		if err := m.upload(ctx, s); err != nil {
			return err
		}
	}
	m.promised.Platforms = now
	if err := m.save(); err != nil {
		return err
	}
	if !o.NoRestart {
		progress.Step("restarting the database")
		if err := o.restart(ctx, m, progress); err != nil {
			return o.rollBack(ctx, m, plan, progress, err)
		}
	}
	o.announce(ctx, m, progress, "PlatformsUpdated", fmt.Sprintf("the sessions admit %s", counted(len(plan.After), "machine")))
	return nil
}

// announce tells who looks at the workload. Without the right to it nobody is told.
func (o ApplyPlatforms) announce(ctx context.Context, m *move, progress *cli.Progress, reason, message string) {
	_, workloads, err := m.release(ctx, m.getter, o.Helm)
	if err == nil {
		err = m.cluster.Announce(ctx, m.promised.Namespace, workloads, reason, message, o.Now())
	}
	if err != nil {
		progress.Detail("no event was left: " + err.Error())
	}
}

func readPlatformsPlan(path string) (*platformsPlan, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	var p platformsPlan
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading the plan: %s: %w", path, err)
	}
	if p.Kind != platformsPlanKind {
		return nil, fmt.Errorf("reading the plan: %s: kind: got %q, want %q", path, p.Kind, platformsPlanKind)
	}
	return &p, nil
}

// fits refuses a plan that is for something else, or of another day.
func (m *move) fits(ctx context.Context, p *platformsPlan, flags *PlatformFlags, quotes *ProvenanceFlags) ([]attest.PlatformID, error) {
	digest := sha256.Sum256([]byte(m.id))
	if p.Cluster != hex.EncodeToString(digest[:8]) || p.Namespace != m.promised.Namespace || p.Name != m.promised.Name {
		return nil, fmt.Errorf("the plan is for release %s/%s of another cluster or name, want %s/%s", p.Namespace, p.Name, m.promised.Namespace, m.promised.Name)
	}
	recorded := idStrings(m.promised.Platforms)
	if !slices.Equal(recorded, p.Before) && !slices.Equal(recorded, p.After) { // After: a run was killed
		return nil, fmt.Errorf("the plan begins with the machines %s, and the release admits %s: make the plan again", strings.Join(p.Before, ", "), strings.Join(recorded, ", "))
	}
	now, err := m.findIDs(ctx, flags, quotes)
	if err != nil {
		return nil, err
	}
	if ids := idStrings(now); !slices.Equal(ids, p.After) {
		return nil, &ClusterMovedError{Got: ids, Want: p.After}
	}
	for _, s := range p.Sessions {
		i := slices.IndexFunc(m.sessions(), func(r *topology.Session) bool { return r.Name == s.Name })
		if i < 0 {
			return nil, fmt.Errorf("the plan changes session %q, which is not one of the release's", s.Name)
		}
		if err := s.onlyPlatforms(now); err != nil {
			return nil, fmt.Errorf("session %q: %w", s.Name, err)
		}
	}
	return now, nil
}

// onlyPlatforms reports whether the update does what such a plan may do: an edited
// plan could do anything.
func (p plannedSession) onlyPlatforms(after []attest.PlatformID) error {
	from, err := session.Parse(p.Name, []byte(p.From))
	if err != nil {
		return err
	}
	want, err := planned(&session.Stored{Hash: p.Predecessor, Text: p.From}, from, after)
	if err != nil {
		return err
	}
	if want == nil || want.To != p.To {
		return fmt.Errorf("the plan changes something else than platforms: make it again")
	}
	return nil
}

// ClusterMovedError means that the machines are not those of the plan.
type ClusterMovedError struct{ Got, Want []string }

func (e *ClusterMovedError) Error() string {
	return fmt.Sprintf("the machines have changed since the plan was made: got %s, want %s; nothing was changed", strings.Join(e.Got, ", "), strings.Join(e.Want, ", "))
}

// Hint says how to go on.
func (e *ClusterMovedError) Hint() string {
	return "look at the machines (kubectl confidb platforms) and plan again: kubectl confidb platforms plan"
}

// upload makes CAS hold the planned version. One that is there already was uploaded by
// a run that was killed.
func (m *move) upload(ctx context.Context, p plannedSession) error {
	stored, current, err := fetchSession(ctx, m.Client, p.Name)
	if err != nil {
		return err
	}
	to, err := session.Parse(p.Name, []byte(p.To))
	if err != nil {
		return err
	}
	hash := stored.Hash
	done := session.Equal(current, to) && strings.EqualFold(current.Predecessor, p.Predecessor)
	switch {
	case done:
	case !strings.EqualFold(stored.Hash, p.Predecessor) || stored.Text != p.From: // the plan's own word for it does not count
		return &MovedError{p.Name}
	default:
		if hash, err = m.Client.CreateSession(ctx, []byte(p.To)); errors.Is(err, cas.ErrMoved) {
			return &MovedError{p.Name}
		}
		if err != nil {
			return err
		}
	}
	for _, s := range m.sessions() {
		if s.Name == p.Name {
			s.Text, s.Hash = p.To, hash
		}
	}
	return m.save()
}

func (m *move) save() error {
	if err := m.store.SaveRelease(m.id, m.promised); err != nil {
		return fmt.Errorf("keeping the record of the release: %w", err)
	}
	return nil
}

func (o ApplyPlatforms) restart(ctx context.Context, m *move, progress *cli.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	_, workloads, err := m.release(ctx, m.getter, o.Helm)
	if err != nil {
		return err
	}
	if err := m.cluster.Restart(ctx, m.promised.Namespace, workloads); err != nil {
		return err
	}
	return m.cluster.AwaitReady(ctx, m.promised.Namespace, workloads, progress.Detail)
}

// rollBack makes the sessions admit what they admitted before.
func (o ApplyPlatforms) rollBack(ctx context.Context, m *move, p *platformsPlan, progress *cli.Progress, cause error) error {
	progress.Step("the database does not come back: setting the sessions back")
	before, err := m.before(ctx, p)
	var back *platformsPlan
	if err == nil {
		back, err = m.plan(ctx, before)
	}
	for i := 0; err == nil && i < len(back.Sessions); i++ {
		err = m.upload(ctx, back.Sessions[i])
	}
	if err == nil {
		m.promised.Platforms = before
		err = m.save()
	}
	if err == nil {
		err = o.restart(ctx, m, progress)
	}
	if err != nil {
		return fmt.Errorf("setting the sessions back after %w: %w", cause, err)
	}
	o.announce(ctx, m, progress, "PlatformsRolledBack", "the database did not start under the new sessions, which were set back")
	return &RolledBackError{cause}
}

// before are the machines of the version that the plan replaced, as CAS has it: a file
// that somebody can edit must not say who is admitted.
func (m *move) before(ctx context.Context, p *platformsPlan) ([]attest.PlatformID, error) {
	if len(p.Sessions) == 0 {
		return nil, errors.New("the plan changes no session")
	}
	name := p.Sessions[0].Name
	_, current, err := fetchSession(ctx, m.Client, name)
	if err != nil {
		return nil, err
	}
	if current.Predecessor == "" {
		return nil, fmt.Errorf("session %q has no earlier version", name)
	}
	stored, err := m.SessionVersion(ctx, name, current.Predecessor)
	if err != nil {
		return nil, err
	}
	earlier, err := session.Parse(name, []byte(stored.Text))
	if err != nil {
		return nil, err
	}
	if len(earlier.Services) == 0 || len(earlier.Services[0].Platforms) == 0 {
		return nil, fmt.Errorf("the earlier version of session %q names no machines", name)
	}
	return earlier.Services[0].Platforms, nil
}

// RolledBackError means that the database runs as before the plan.
type RolledBackError struct{ cause error }

func (e *RolledBackError) Error() string {
	return fmt.Sprintf("the sessions were set back, and the database runs again as before: %v", e.cause)
}

// Hint says what to look at.
func (e *RolledBackError) Hint() string {
	return "the pod or its volume may be bound to a machine that the plan removes; look at: kubectl get pods -o wide"
}

func (e *RolledBackError) Unwrap() error { return e.cause }
