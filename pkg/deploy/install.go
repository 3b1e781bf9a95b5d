package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// Install are the options of installing a database, or of changing its release.
type Install struct {
	// Name is that of the release.
	Name string
	// DryRun must be given.
	DryRun DryRun
	// MustExist refuses a release that Helm does not have: an upgrade.
	MustExist bool
	// CreateNamespace creates the namespace if it is missing.
	CreateNamespace bool
	// Inputs are what the user says; what is not said now is taken from the record of
	// an earlier run, which is nil at the first.
	Inputs func(earlier *topology.Release) (*Inputs, error)
	// Outside is a client that Inputs let in outside of enclaves, and Gone has the files of
	// one that they send away; nil is none.
	Outside *Outside
	Gone    OutsideFolder
}

// Inputs are what the user says about an installation.
type Inputs struct {
	// Plan is what is to be installed, but for its Name, Namespace, Platforms and
	// Token, which the run adds.
	Plan topology.Plan
	// Keys say which of the chart's values make it run under a session.
	Keys Keys
	// Clients say how clients of the database are started.
	Clients Clients
}

// Installed is what a run made, or with a dry run would make.
type Installed struct {
	Release *topology.Release
	// Chart is the chart that was used.
	Chart *release.Chart
	// Manifests are the chart's objects; with a dry run of the server as the API
	// server would have them.
	Manifests []byte
}

// Install installs the database and proves it. It continues where an earlier run
// stopped. Nothing is created before the CAS is proven and the rendered chart is
// checked.
func (s *Site) Install(ctx context.Context, o Install) (*Installed, error) {
	s.Progress.Step("preflight: cluster, rights, chart and earlier runs")
	clusterID, err := s.Cluster.ID()
	if err != nil {
		return nil, err
	}
	unlock, err := s.Store.LockRelease(clusterID, s.Cluster.Namespace(), o.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	i, err := s.prepare(ctx, clusterID, o)
	if err != nil {
		return nil, err
	}
	switch o.DryRun {
	case Client:
	case Server:
		err = i.rehearse(ctx)
	case None:
		err = i.carryOut(ctx)
	default:
		err = fmt.Errorf("dry run: got %q, want %s, %s or %s", o.DryRun, None, Client, Server)
	}
	return &Installed{Release: i.release, Chart: i.chart, Manifests: i.manifests}, err
}

// installation is one run that knows what it will do.
type installation struct {
	*Site
	clusterID string
	release   *topology.Release
	chart     *release.Chart
	*rendered
	// render makes and checks the manifests. The first time without the cluster: what is
	// refused then is refused before anybody is asked for anything.
	render func(ctx context.Context, how renderer) error
	// before are the objects that the last run installed; none at the first.
	before manifest.Manifest
	// outside and gone are those of the options.
	outside *Outside
	gone    OutsideFolder
}

// prepare gathers what the user said and what the cluster has, and makes all documents
// of it. Nothing is changed.
func (s *Site) prepare(ctx context.Context, clusterID string, o Install) (*installation, error) {
	earlier, inputs, err := s.gather(ctx, clusterID, o)
	if err != nil {
		return nil, err
	}
	spec := o.spec(inputs.Plan)
	chart, err := s.Helm.Load(spec)
	if err != nil {
		return nil, err
	}
	if o.MustExist {
		s.warnDropped(earlier, spec.Values)
	}
	if err := s.refuseForeign(ctx, o.Name, earlier); err != nil {
		return nil, err
	}
	if err := count(&inputs.Plan, chart); err != nil {
		return nil, err
	}
	r, err := s.plan(ctx, o.Name, inputs.Plan, earlier)
	if err != nil {
		return nil, err
	}
	if err := manifest.CheckSessions(r); err != nil {
		return nil, err
	}
	before, err := manifest.Recorded(r.Installed)
	if err != nil {
		return nil, err
	}
	i := &installation{Site: s, clusterID: clusterID, release: r, chart: chart, before: before, outside: o.Outside, gone: o.Gone}
	i.render = func(ctx context.Context, how renderer) error {
		made, err := s.render(ctx, how, spec, chart, r, inputs)
		if err != nil {
			return err
		}
		i.rendered, r.Pod = made, made.pod
		return nil
	}
	if err := i.render(ctx, s.Helm.Render); err != nil {
		return nil, err
	}
	for _, deviation := range i.accepted {
		s.Warn("the policy accepts: " + deviation)
	}
	s.tell(r)
	return i, nil
}

// tell says in words what changes for the user's own applications, also if nothing does.
func (s *Site) tell(r *topology.Release) {
	if r.Changing == nil {
		if r.Applications.Accounts != "" && slices.ContainsFunc(r.Members, func(m topology.Member) bool { return m.Session.Hash != "" }) {
			s.Progress.Step("applications: no session and no account changes")
		}
		return
	}
	changes := r.Applications.Changes(*r.Changing)
	if len(changes) == 0 {
		return
	}
	s.Progress.Step("what changes for applications:")
	for _, text := range changes {
		s.Progress.Detail(text)
	}
}

// gather reads the earlier run's record and the user's inputs.
func (s *Site) gather(ctx context.Context, clusterID string, o Install) (*topology.Release, *Inputs, error) {
	earlier, err := s.Store.Earlier(clusterID, s.Cluster.Namespace(), o.Name)
	if err != nil {
		return nil, nil, err
	}
	if earlier != nil && earlier.Import != nil {
		return nil, nil, &ImportedError{Namespace: earlier.Namespace, Name: o.Name, Signer: earlier.Import.Signer}
	}
	if o.MustExist {
		if _, err := s.existing(ctx, o.Name); err != nil {
			return nil, nil, err
		}
	}
	inputs, err := o.Inputs(earlier)
	if err != nil {
		return nil, nil, err
	}
	inputs.Plan.Applications = inputs.Plan.Applications.At(s.Now()) // who has ended outside of enclaves is sent away
	if o.DryRun != Client {
		err = s.Cluster.CheckRights(ctx, o.CreateNamespace)
	}
	return earlier, inputs, err
}

// spec is the release as Helm shall have it, but for the values of the session.
func (o Install) spec(plan topology.Plan) release.Spec {
	return release.Spec{
		Name: o.Name, Chart: plan.Chart.Name, Version: plan.Chart.Version, Repo: plan.Chart.Repo, Values: plan.Values,
		Architecture: plan.Architecture.String(), CreateNamespace: o.CreateNamespace,
	}
}

// warnDropped names values of the last run that those given now leave out. Helm
// drops them, too.
func (s *Site) warnDropped(earlier *topology.Release, values map[string]any) {
	if earlier == nil {
		return
	}
	var dropped []string
	for _, key := range slices.Sorted(maps.Keys(earlier.Values)) {
		if _, kept := values[key]; !kept {
			dropped = append(dropped, key)
		}
	}
	if len(dropped) > 0 {
		s.Warn("values of the last run are left out, as with helm upgrade, since others are given now: " + strings.Join(dropped, ", "))
	}
}

// refuseForeign refuses a name that is in use by something that is not ours,
// before anything is made for it. That we once tried to use it does not make it ours:
// somebody else may have been faster.
func (s *Site) refuseForeign(ctx context.Context, name string, earlier *topology.Release) error {
	r, err := s.Helm.Get(ctx, name)
	if errors.Is(err, release.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if earlier != nil && !earlier.HelmStarted.IsZero() {
		if ours, err := s.ours(r, earlier); ours || err != nil {
			return err
		}
	}
	return &TakenError{Namespace: s.Cluster.Namespace(), Name: name, Chart: r.Chart}
}

// TakenError means that there is a release of this name that this user's records
// do not know.
type TakenError struct{ Namespace, Name, Chart string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("release %s/%s exists already (chart %s), and was not installed with the records of this user", e.Namespace, e.Name, e.Chart)
}

// Hint says how to go on.
func (e *TakenError) Hint() string {
	return "Take another name; or, if it is yours, set CONFIDB_HOME to the folder with its records."
}

// ImportedError means that a release is somebody else's: its record was imported.
type ImportedError struct{ Namespace, Name, Signer string }

func (e *ImportedError) Error() string {
	return fmt.Sprintf("release %s/%s is somebody else's: its record was imported (signed by %s)", e.Namespace, e.Name, e.Signer)
}

// Hint says what can be done.
func (e *ImportedError) Hint() string {
	return "{verify " + e.Name + "} proves it; only whoever installed it changes it."
}

// plan finds the machines and returns the record of the release with its sessions.
func (s *Site) plan(ctx context.Context, name string, plan topology.Plan, earlier *topology.Release) (*topology.Release, error) {
	platforms, err := s.findPlatforms(ctx, plan.Trust.RequireProvenance)
	if err != nil {
		return nil, err
	}
	plan.Name, plan.Namespace, plan.Platforms = name, s.Cluster.Namespace(), platforms
	origins := maps.Clone(plan.Origins)
	if origins == nil {
		origins = map[string]string{}
	}
	origins["platforms"] = s.Platforms.Origin()
	plan.Origins = origins
	if plan.Token, err = s.token(); err != nil {
		return nil, err
	}
	return topology.Prepare(plan, earlier)
}

func (s *Site) findPlatforms(ctx context.Context, least attest.Provenance) ([]attest.PlatformID, error) {
	s.Progress.Step("platforms: nodes with SGX and their platform IDs (from %s)", s.Platforms.Origin())
	ids, err := s.Platforms.Find(ctx, least)
	if err != nil {
		return nil, err
	}
	s.Progress.Detail(fmt.Sprintf("%d platform IDs", len(ids)))
	return ids, nil
}

// connect attests the CAS of the release.
func (i *installation) connect(ctx context.Context) (CAS, func(), error) {
	i.Progress.Step("attesting the CAS %s", i.release.CASAddress)
	return i.Connect(ctx, i.release.CASAddress, i.release.Trust)
}

// rehearse asks CAS and the API server what they would say.
func (i *installation) rehearse(ctx context.Context) error {
	c, closeCAS, err := i.connect(ctx)
	if err != nil {
		return err
	}
	defer closeCAS()
	members := i.release.Members
	would, errs := make([]string, len(members)), make([]error, len(members))
	cas.SideBySide(len(members), func(n int) { would[n], errs[n] = InspectSession(ctx, c, &members[n].Session) })
	for n, m := range members {
		if errs[n] != nil {
			return errs[n]
		}
		i.Progress.Step("session %s %s", m.Session.Name, would[n])
	}
	i.Progress.Step("chart %s %s, checked by the API server", i.chart.Name, i.chart.Version)
	if err := i.render(ctx, i.Helm.DryRunServer); err != nil {
		return err
	}
	_, err = i.drift(ctx)
	return err
}

// carryOut creates the sessions, makes the release run, and proves it.
func (i *installation) carryOut(ctx context.Context) error {
	if err := i.createSessions(ctx); err != nil {
		return err
	}
	if err := i.apply(ctx); err != nil {
		return err
	}
	if err := i.restart(ctx); err != nil {
		return err
	}
	if err := i.await(ctx); err != nil {
		return err
	}
	if err := i.settle(); err != nil {
		return err
	}
	if err := i.mendPods(ctx); err != nil {
		return err
	}
	if err := i.finishOutside(ctx); err != nil {
		return err
	}
	i.Progress.Step("verifying: everything above is asked again, and the database itself")
	return i.Verify(ctx)
}

// createSessions makes the CAS hold all sessions. The record is written before the
// first, so that names are known of which somebody may have been told, and after each that
// makes another of it.
func (i *installation) createSessions(ctx context.Context) error {
	c, closeCAS, err := i.connect(ctx)
	if err != nil {
		return err
	}
	defer closeCAS()
	if err := i.render(ctx, i.Helm.DryRunServer); err != nil { // with what the cluster says
		return err
	}
	if err := i.save(i.clusterID, i.release); err != nil {
		return err
	}
	kept := i.askForKept(ctx, c)
	for n := range i.release.Members {
		s := &i.release.Members[n].Session
		i.Progress.Step("session %s", s.Name)
		done, asked := kept[n]
		if !asked {
			done = ensured(ctx, c, s)
		}
		if done.err != nil {
			return done.err
		}
		i.Progress.Detail(string(done.did))
		if done.learned {
			err = i.save(i.clusterID, i.release)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ensurance is how it ended that CAS holds a session, and whether the record is another
// since.
type ensurance struct {
	did     Did
	learned bool
	err     error
}

func ensured(ctx context.Context, c CAS, s *topology.Session) ensurance {
	before := *s
	did, err := EnsureSession(ctx, c, s)
	return ensurance{did, *s != before, err}
}

// askForKept asks for the sessions that are there and stay as they are, some at a time: of
// those there is one for each client. Others are made in their order.
func (i *installation) askForKept(ctx context.Context, c CAS) map[int]ensurance {
	var kept []int
	for n, m := range i.release.Members {
		if m.Session.Hash != "" && m.Session.Next == "" {
			kept = append(kept, n)
		}
	}
	asked := make([]ensurance, len(kept))
	cas.SideBySide(len(kept), func(k int) { asked[k] = ensured(ctx, c, &i.release.Members[kept[k]].Session) })
	all := map[int]ensurance{}
	for k, n := range kept {
		all[n] = asked[k]
	}
	return all
}

// apply makes the Helm release. That it began is written down first: a pending release
// since then was left by us, and not by somebody else.
func (i *installation) apply(ctx context.Context) error {
	r := i.release
	i.Progress.Step("Helm release %s/%s: chart %s %s", r.Namespace, r.Name, i.chart.Name, i.chart.Version)
	drifted, err := i.drift(ctx)
	if err != nil {
		return err
	}
	i.spec.Again = drifted
	killed := r.HelmPending // we hold the lock, so whoever left it so has ended
	if !killed {
		r.HelmStarted, r.HelmPending = i.Now().UTC(), true
	}
	r.Install(i.installed)
	if err := i.save(i.clusterID, r); err != nil {
		return err
	}
	if i.spec.Owner, err = i.Owner(); err != nil {
		return err
	}
	began := r.HelmStarted.Truncate(time.Second)
	done, err := i.Helm.Apply(ctx, i.spec, i.chart, func(since time.Time) bool { return killed && !since.Before(began) })
	if err != nil {
		return err // it may be left pending, by us
	}
	sent, err := i.promise.Check([]byte(done.Manifest))
	if err != nil {
		return fmt.Errorf("what Helm has sent is not what was checked: %w", err)
	}
	if err := i.mendObjects(ctx, sent.Manifest); err != nil {
		return err
	}
	r.Install(append(sent.Manifest, i.hooks...).Record())
	r.HelmPending = false
	if err := i.save(i.clusterID, r); err != nil {
		return err
	}
	i.Progress.Detail(fmt.Sprintf("%s, revision %d", done.Did, done.Revision))
	return nil
}

// restart makes the database read its session again, if that has changed: accounts are made
// at a start, and connections of those that are gone end with it. Of several, Kubernetes
// starts one after the other, as the chart notes the session's document at each.
func (i *installation) restart(ctx context.Context) error {
	if i.release.Changing == nil || i.release.Architecture != topology.Single {
		return nil
	}
	workloads, err := manifest.Workloads(i.manifests)
	if err != nil {
		return err
	}
	i.Progress.Step("the database starts anew, with the accounts of its session")
	return i.Cluster.Restart(ctx, i.release.Namespace, workloads, i.Progress.Detail)
}

// settle writes down that the applications are what they shall be.
func (i *installation) settle() error {
	if i.release.Changing == nil && i.release.DatabasesNext == 0 {
		return nil
	}
	if i.release.Changing != nil {
		i.release.Applications, i.release.Changing = *i.release.Changing, nil
	}
	for _, gone := range i.release.Settle() {
		i.Warn(fmt.Sprintf("the database %s is no part of the release any more; its volume (PersistentVolumeClaim data-%s) is kept, and is used again if there are as many databases again", gone.Name, gone.Pod))
	}
	return i.save(i.clusterID, i.release)
}

// await waits until the database runs.
func (i *installation) await(ctx context.Context) error {
	workloads, err := manifest.Workloads(i.manifests)
	if err != nil {
		return err
	}
	i.Progress.Step("waiting until the database runs")
	if err := i.Cluster.RestartStuck(ctx, i.release.Namespace, workloads); err != nil {
		return err
	}
	return i.Cluster.AwaitReady(ctx, i.release.Namespace, workloads, i.Progress.Detail)
}
