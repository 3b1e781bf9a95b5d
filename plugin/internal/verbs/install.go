package verbs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// Values of --dry-run.
const (
	DryRunNone   = "none"
	DryRunClient = "client"
	DryRunServer = "server"
)

// Install are the options of installing a database, or changing its release.
type Install struct {
	Name      string
	Trust     *flags.Trust
	Platforms *PlatformFlags
	Chart     *ChartFlags
	Clients   *ClientFlags
	Sessions  *SessionNames
	// Helm says where Helm's files are.
	Helm release.Settings
	// DryRun is none, client or server.
	DryRun string
	// MustExist refuses a release that Helm does not have: an upgrade.
	MustExist bool
	// Home is the folder of the user's records.
	Home string
	// Verify says how to prove the result.
	Verify Verify
	Now    func() time.Time
}

// installation is one run.
type installation struct {
	Install
	getter    genericclioptions.RESTClientGetter
	streams   genericiooptions.IOStreams
	cluster   *kube.Cluster
	clusterID string
	store     record.Store
	helm      *release.Helm
	progress  *cli.Progress

	earlier   *topology.Release
	trusted   *flags.Trusted
	platforms []attest.PlatformID
	chart     *release.Chart
	spec      release.Spec
	plan      topology.Plan
}

// Run installs the database and proves it. It continues where an earlier run stopped.
func (o Install) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if err := topology.CheckName(o.Name); err != nil {
		return cli.NewUsageError("%w", err)
	}
	i := &installation{Install: o, getter: getter, streams: streams, store: record.Store{Dir: o.Home}, progress: cli.NewProgress(streams.ErrOut, o.Now)}
	defer i.progress.Done()
	unlock, err := i.prepare(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	rand.Read(i.plan.Token[:]) // never fails
	r, err := topology.Prepare(i.plan, i.earlier)
	if err != nil {
		return err
	}
	manifests, err := i.render(ctx, r)
	if err != nil {
		return err
	}
	if o.DryRun == DryRunClient {
		return i.showPlan(r, manifests)
	}
	if err := i.installRelease(ctx, r, manifests); err != nil || o.DryRun == DryRunServer {
		return err
	}
	i.progress.Step("verifying: everything above is asked again, and the database itself")
	o.Verify.Name = o.Name
	return o.Verify.run(ctx, i.getter, streams, i.progress)
}

// prepare gathers what the user said and what the cluster has. Nothing is changed.
func (i *installation) prepare(ctx context.Context) (unlock func(), err error) {
	i.progress.Step("preflight: cluster, rights, chart and earlier runs")
	if err := i.open(); err != nil {
		return nil, err
	}
	unlock, err = i.store.LockRelease(i.clusterID, i.cluster.Namespace(), i.Name)
	if err != nil {
		return nil, err
	}
	if err := i.gather(ctx); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// open makes what works on the cluster, without asking it anything.
func (i *installation) open() error {
	var err error
	if i.cluster, err = kube.New(i.getter); err != nil {
		return err
	}
	if i.clusterID, err = i.cluster.ID(); err != nil {
		return err
	}
	i.helm, err = release.New(i.getter, i.cluster.Namespace(), i.Helm)
	return err
}

func (i *installation) gather(ctx context.Context) error {
	var err error
	if i.earlier, err = i.store.Earlier(i.clusterID, i.cluster.Namespace(), i.Name); err != nil {
		return err
	}
	if i.MustExist {
		if _, err := existing(ctx, i.helm, i.cluster.Namespace(), i.Name); err != nil {
			return err
		}
	}
	if i.trusted, err = i.Trust.Resolve(i.earlier); err != nil {
		return err
	}
	if i.DryRun != DryRunClient {
		if err := i.cluster.CheckRights(ctx, i.Chart.CreateNamespace); err != nil {
			return err
		}
	}
	if err := i.loadChart(); err != nil {
		return err
	}
	if i.MustExist {
		i.warnDropped()
	}
	if err := i.refuseForeign(ctx); err != nil {
		return err
	}
	if err := i.findPlatforms(ctx); err != nil {
		return err
	}
	return i.makePlan()
}

// refuseForeign refuses a name that is in use by something that is not ours,
// before anything is made for it.
func (i *installation) refuseForeign(ctx context.Context) error {
	if i.earlier != nil && !i.earlier.HelmStarted.IsZero() {
		return nil
	}
	r, err := i.helm.Get(ctx, i.Name)
	if errors.Is(err, release.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return &TakenError{Namespace: i.cluster.Namespace(), Name: i.Name, Chart: r.Chart}
}

// TakenError means that there is a release of this name that this user's records
// do not know.
type TakenError struct{ Namespace, Name, Chart string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("release %s/%s exists already (chart %s), and was not installed with the records of this user", e.Namespace, e.Name, e.Chart)
}

// Hint says how to go on.
func (e *TakenError) Hint() string {
	return "take another name; or, if it is yours, set CONFIDB_HOME to the folder with its records"
}

func (i *installation) loadChart() error {
	chart, values, err := i.Chart.resolve(i.earlier)
	if err != nil {
		return err
	}
	i.spec = release.Spec{Name: i.Name, Chart: chart.Name, Version: chart.Version, Repo: chart.Repo, Values: values, CreateNamespace: i.Chart.CreateNamespace, Timeout: i.Chart.HookTimeout}
	i.chart, err = i.helm.Load(i.spec)
	return err
}

func (i *installation) findPlatforms(ctx context.Context) error {
	options, err := i.Platforms.Resolve()
	if err != nil {
		return err
	}
	proof := ProvenanceFlags{flags.Provenance{Require: string(i.trusted.Trust.RequireProvenance)}}
	if i.Platforms.Quotes != "" {
		proof.Quotes = flags.Quotes{Folder: i.Platforms.Quotes, Collateral: i.Trust.Collateral, Policy: i.Trust.Policy, Root: flags.Root{File: i.Trust.RootCA}}
	}
	if err := proof.resolve(ctx, &options, i.Now); err != nil {
		return err
	}
	i.progress.Step("platforms: nodes with SGX and their platform IDs (from %s)", options.Origin)
	inventory, err := machines.Find(ctx, i.getter, options.Options)
	if err != nil {
		return err
	}
	printers.Remark(i.streams.ErrOut, inventory, options.Origin, "wide")
	i.platforms, i.trusted.Origins["platforms"] = inventory.IDs(), options.Origin
	i.progress.Detail(fmt.Sprintf("%d platform IDs", len(i.platforms)))
	return nil
}

func (i *installation) makePlan() error {
	sql, err := i.Clients.bootstrapSQL(i.earlier)
	if err != nil {
		return err
	}
	i.plan = topology.Plan{
		Name: i.Name, Namespace: i.cluster.Namespace(), CASAddress: i.trusted.CAS, Host: i.Clients.Host,
		Platforms: i.platforms, Enclaves: i.trusted.Enclaves, BootstrapSQL: sql,
		Trust: i.trusted.Trust, Chart: topology.Chart{Name: i.spec.Chart, Version: i.spec.Version, Repo: i.spec.Repo}, Values: i.spec.Values,
		Origins: i.trusted.Origins,
	}
	return i.Sessions.fill(&i.plan, i.earlier, i.trusted.Origins)
}

// render makes the manifests and checks them, before anything is created.
func (i *installation) render(ctx context.Context, r *topology.Release) ([]byte, error) {
	values, err := i.Chart.withAttestation(i.spec.Values, i.chart, r.Session(topology.Database).Name, r.CASAddress)
	if err != nil {
		return nil, err
	}
	i.spec.Values = values
	manifests, err := i.helm.Render(ctx, i.spec, i.chart)
	if err != nil {
		return nil, err
	}
	client, err := topology.CheckManifests(manifests, r.Session(topology.Database).Name, r.CASAddress)
	if err != nil {
		return nil, err
	}
	r.Pod, err = i.Clients.over(*client, i.spec.Values)
	return manifests, err
}

// showPlan prints what would be created: three sessions and the chart's objects.
func (i *installation) showPlan(r *topology.Release, manifests []byte) error {
	for _, m := range r.Members {
		s := m.Session
		fmt.Fprintf(i.streams.Out, "---\n# session %s\n", s.Name)
		if err := printSession(i.streams.Out, s.Name, []byte(s.Text)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(i.streams.Out, "---\n# chart %s %s\n%s", i.chart.Name, i.chart.Version, bytes.TrimPrefix(manifests, []byte("---\n")))
	return err
}

func (i *installation) installRelease(ctx context.Context, r *topology.Release, manifests []byte) error {
	i.progress.Step("attesting the CAS %s", r.CASAddress)
	connection, err := connectCAS(ctx, i.getter, i.store, r.CASAddress, r.Trust, i.Now)
	if err != nil {
		return err
	}
	defer connection.close()
	if i.DryRun == DryRunServer {
		return i.rehearse(ctx, connection, r)
	}
	if err := i.save(r); err != nil {
		return err
	}
	for n := range r.Members {
		s := &r.Members[n].Session
		i.progress.Step("session %s", s.Name)
		created, err := deploy.EnsureSession(ctx, connection, s)
		if err != nil {
			return err
		}
		i.progress.Detail(map[bool]string{true: "created", false: "is there already, with the same meaning"}[created])
		if err := i.save(r); err != nil {
			return err
		}
	}
	if err := i.apply(ctx, r); err != nil {
		return err
	}
	return i.await(ctx, r, manifests)
}

func (i *installation) save(r *topology.Release) error {
	if err := i.store.SaveRelease(i.clusterID, r); err != nil {
		return fmt.Errorf("keeping the record of the release: %w", err)
	}
	return nil
}

// rehearse asks CAS and the API server what they would say.
func (i *installation) rehearse(ctx context.Context, connection *connection, r *topology.Release) error {
	for n := range r.Members {
		s := &r.Members[n].Session
		what, err := deploy.InspectSession(ctx, connection, s)
		if err != nil {
			return err
		}
		i.progress.Step("session %s %s", s.Name, what)
	}
	i.progress.Step("chart %s %s, checked by the API server", i.chart.Name, i.chart.Version)
	manifests, err := i.helm.DryRunServer(ctx, i.spec, i.chart)
	if err != nil {
		return err
	}
	_, err = i.streams.Out.Write(manifests)
	return err
}

func (i *installation) apply(ctx context.Context, r *topology.Release) error {
	i.progress.Step("Helm release %s/%s: chart %s %s", r.Namespace, r.Name, i.chart.Name, i.chart.Version)
	killed := r.HelmPending // we hold the lock, so whoever left it so has ended
	if !killed {
		r.HelmStarted, r.HelmPending = i.Now().UTC(), true
	}
	if err := i.save(r); err != nil {
		return err
	}
	began := r.HelmStarted.Truncate(time.Second)
	done, err := i.helm.Apply(ctx, i.spec, i.chart, func(since time.Time) bool { return killed && !since.Before(began) })
	if err != nil {
		return err // it may be left pending, by us
	}
	r.HelmPending = false
	if err := i.save(r); err != nil {
		return err
	}
	i.progress.Detail(fmt.Sprintf("%s, revision %d", done.Did, done.Revision))
	return nil
}

func (i *installation) await(ctx context.Context, r *topology.Release, manifests []byte) error {
	workloads, err := topology.Workloads(manifests)
	if err != nil {
		return err
	}
	i.progress.Step("waiting until the database runs")
	if err := i.cluster.RestartStuck(ctx, r.Namespace, workloads); err != nil {
		return err
	}
	return i.cluster.AwaitReady(ctx, r.Namespace, workloads, i.progress.Detail)
}

// SessionNames are names and templates of the user's choice for the sessions.
type SessionNames struct {
	Database, Client string
	// DatabaseTemplate and ClientTemplate are files.
	DatabaseTemplate, ClientTemplate string
	LookupEnv                        func(string) (string, bool)
}

func (n *SessionNames) fill(plan *topology.Plan, earlier *topology.Release, origins map[string]string) error {
	plan.Templates = map[string]string{}
	if earlier != nil {
		maps.Copy(plan.Templates, earlier.Templates)
	}
	for name, file := range map[string]string{"database": n.DatabaseTemplate, "client": n.ClientTemplate} {
		if file == "" {
			continue
		}
		text, err := readBounded(file)
		if err != nil {
			return fmt.Errorf("--%s-template: %w", name, err)
		}
		plan.Templates[name] = string(text)
	}
	plan.DatabaseSession, origins["database-session"] = flags.First(n.LookupEnv, "database-session", n.Database, "DBSESSION", "")
	plan.ClientSession, origins["client-session"] = flags.First(n.LookupEnv, "client-session", n.Client, "DBCLIENT", "")
	for _, name := range []string{"database-session", "client-session"} {
		if origins[name] == flags.ByDefault {
			origins[name] = "chosen at random, and recorded"
		}
	}
	return nil
}

// ClientFlags say how clients of the database are started, where that cannot be
// taken from the chart.
type ClientFlags struct {
	// Image, Command and Environment (NAME=VALUE) override what the chart's
	// database container has.
	Image       string
	Command     []string
	Environment []string
	// Host is the name under which pods reach the database.
	Host string
	// BootstrapSQL is a file.
	BootstrapSQL string
}

// over applies the flags to what was derived from the chart. The command of our
// own chart's values starts clients as well.
func (f *ClientFlags) over(c topology.Pod, values map[string]any) (topology.Pod, error) {
	c.Image = cmp.Or(f.Image, c.Image)
	c.Environment = maps.Clone(c.Environment)
	if list, ok := values["command"].([]any); ok {
		for _, word := range list {
			c.Command = append(c.Command, fmt.Sprint(word))
		}
	}
	if len(f.Command) > 0 {
		c.Command = f.Command
	}
	for _, v := range f.Environment {
		name, value, ok := strings.Cut(v, "=")
		if !ok || !strings.HasPrefix(name, "SCONE_") {
			return c, cli.NewUsageError("--client-env: got %q, want SCONE_NAME=VALUE", v)
		}
		c.Environment[name] = value
	}
	return c, nil
}

func (f *ClientFlags) bootstrapSQL(earlier *topology.Release) (string, error) {
	if f.BootstrapSQL == "" && earlier != nil {
		return earlier.BootstrapSQL, nil
	}
	if f.BootstrapSQL == "" {
		return "", &flags.MissingError{What: "SQL for the database's system tables", Flag: "--bootstrap-sql (from whoever builds the image)"}
	}
	text, err := readBounded(f.BootstrapSQL)
	if err != nil {
		return "", fmt.Errorf("--bootstrap-sql: %w", err)
	}
	return string(text), nil
}
