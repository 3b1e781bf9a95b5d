package verbs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubeprinters "k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// PlatformFlags are the flags by which the user says which machines there are.
type PlatformFlags struct {
	ids                []string
	file, lasNamespace string
	lookupEnv          func(string) (string, bool)
}

// NewPlatformFlags returns flags without values. lookupEnv reads the environment.
func NewPlatformFlags(lookupEnv func(string) (string, bool)) *PlatformFlags {
	return &PlatformFlags{lookupEnv: lookupEnv}
}

// AddFlags registers the flags.
func (f *PlatformFlags) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.ids, "platform", nil, "platform ID of a machine, or a list of them; repeat it for more. The cluster is not asked then (default $PLATFORMS)")
	flags.StringVar(&f.file, "platforms-file", "", "file with the platform IDs of nodes, which must agree with the cluster: lines of NODE ID, or a YAML or JSON map")
	flags.StringVar(&f.lasNamespace, "las-namespace", "", "namespace of the LAS pods (default: all)")
}

// PlatformOptions are what the flags, the environment and the file say.
type PlatformOptions struct {
	platform.Options
	// Origin is where the IDs come from: --platform, $PLATFORMS, --platforms-file
	// (and the cluster), or cluster.
	Origin string
}

// Resolve reads the flags, the environment and the file. Flags win.
func (f *PlatformFlags) Resolve() (PlatformOptions, error) {
	o := PlatformOptions{Origin: "cluster", Options: platform.Options{LASNamespace: f.lasNamespace}}
	variable, _ := f.lookupEnv("PLATFORMS")
	switch {
	case len(f.ids) > 0 && f.file != "":
		return o, cli.NewUsageError("got --platform and --platforms-file, want only one of them")
	case len(f.ids) > 0:
		return o.withList("--platform", f.ids...)
	case f.file != "":
		return o.withFile(f.file)
	case variable != "":
		return o.withList("$PLATFORMS", variable)
	}
	return o, nil
}

func (o PlatformOptions) withList(origin string, lists ...string) (PlatformOptions, error) {
	o.Origin = origin
	for _, text := range lists {
		ids, err := platform.ParseList(text)
		if err != nil {
			return o, fmt.Errorf("%s: %w", origin, err)
		}
		o.IDs = append(o.IDs, ids...)
	}
	return o, nil
}

func (o PlatformOptions) withFile(path string) (PlatformOptions, error) {
	o.Origin = "--platforms-file"
	text, err := readBounded(path)
	if err != nil {
		return o, fmt.Errorf("--platforms-file: %w", err)
	}
	o.File, err = platform.ParseFile(path, text)
	return o, err
}

// FindPlatforms returns the machines with SGX that the user or the cluster names.
// A list of the user's needs no cluster.
func FindPlatforms(ctx context.Context, getter genericclioptions.RESTClientGetter, o PlatformOptions) (*platform.Inventory, error) {
	if len(o.IDs) > 0 {
		i, err := platform.Declare(o.IDs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Origin, err)
		}
		return i, nil
	}
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // discovery bounds its own concurrency; the default takes minutes for many nodes
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	resources, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return platform.Discover(ctx, clientset, resources, o.Options)
}

// Platforms are the options of listing the machines with SGX.
type Platforms struct {
	// Flags say where to look.
	Flags *PlatformFlags
	// Output is one of PlatformFormats, or empty for the table.
	Output string
}

// PlatformFormats lists the output formats; those that end in = want a template.
func PlatformFormats() []string {
	return []string{"wide", "json", "yaml", "name", "session", "jsonpath=", "go-template=", "custom-columns="}
}

// Run prints the machines with SGX and their platform IDs. If they contradict each
// other the table is printed too, because it shows where, but no other format is.
func (o Platforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	print, err := platformPrinter(o.Output)
	if err != nil {
		return err
	}
	options, err := o.Flags.Resolve()
	if err != nil {
		return err
	}
	inventory, err := FindPlatforms(ctx, getter, options)
	var inconsistent *platform.InconsistentError
	if errors.As(err, &inconsistent) && (o.Output == "" || o.Output == "wide") {
		return errors.Join(showContradiction(streams, print, inconsistent.Seen), err)
	}
	if err != nil {
		return err
	}
	remark(streams.ErrOut, inventory, options.Origin, o.Output)
	return print(streams.Out, inventory, options.Origin)
}

// showContradiction prints the nodes of an inventory that is not fit for use.
func showContradiction(streams genericiooptions.IOStreams, print printInventory, seen *platform.Inventory) error {
	if len(seen.Nodes) == seen.WithoutSGX() {
		return nil
	}
	remark(streams.ErrOut, seen, "", "")
	return print(streams.Out, seen, "")
}

// remark tells on standard error what the result alone does not.
func remark(errOut io.Writer, i *platform.Inventory, origin, output string) {
	for _, w := range i.Warnings {
		fmt.Fprintf(errOut, "warning: %s\n", kubeprinters.EscapeTerminal(w))
	}
	if len(i.Declared) > 0 {
		fmt.Fprintf(errOut, "the platform IDs are from %s; the cluster was not asked\n", origin)
	}
	if without := i.WithoutSGX(); without > 0 && output == "" {
		fmt.Fprintf(errOut, "%d of %d nodes have no SGX (-o wide lists them)\n", without, len(i.Nodes))
	}
}

// printInventory writes an inventory whose IDs come from origin.
type printInventory func(out io.Writer, i *platform.Inventory, origin string) error

// platformPrinter returns the printer of a format. An unknown one is a usage error.
func platformPrinter(format string) (printInventory, error) {
	switch format {
	case "":
		return printPlatformTable, nil
	case "wide":
		return printPlatformTableWide, nil
	case "json":
		return printPlatformJSON, nil
	case "yaml":
		return printPlatformYAML, nil
	case "name":
		return printPlatformNames, nil
	case "session":
		return printPlatformSession, nil
	}
	return platformTemplate(format)
}

func platformTemplate(format string) (printInventory, error) {
	if spec, ok := strings.CutPrefix(format, "custom-columns="); ok {
		return customColumns(spec)
	}
	p, err := genericclioptions.NewKubeTemplatePrintFlags().ToPrinter(format)
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		return nil, cli.NewUsageError("-o: got %q, want %s", format, strings.Join(PlatformFormats(), ", "))
	}
	if err != nil {
		return nil, cli.NewUsageError("-o: %w", err)
	}
	return func(out io.Writer, i *platform.Inventory, origin string) error {
		object, err := newPlatformDocument(i, origin).object()
		if err != nil {
			return err
		}
		return p.PrintObj(object, out)
	}, nil
}

// customColumns prints one row for each item: HEADER:.path,HEADER:.path. The
// printer of kubectl get takes as long to load as all the rest of this program.
func customColumns(spec string) (printInventory, error) {
	var headers []string
	var paths []*jsonpath.JSONPath
	for _, column := range strings.Split(spec, ",") {
		header, path, ok := strings.Cut(column, ":")
		p := jsonpath.New(header).AllowMissingKeys(true)
		if !ok || header == "" || !strings.HasPrefix(path, ".") || p.Parse("{"+path+"}") != nil {
			return nil, cli.NewUsageError("-o custom-columns: got %q, want HEADER:.PATH,…, such as NODE:.name,ID:.platformID", column)
		}
		headers, paths = append(headers, header), append(paths, p)
	}
	return func(out io.Writer, i *platform.Inventory, origin string) error {
		object, err := newPlatformDocument(i, origin).object()
		if err != nil {
			return err
		}
		rows := [][]string{slices.Clone(headers)}
		items, _ := object.(*unstructured.UnstructuredList).UnstructuredContent()["items"].([]any)
		for _, item := range items {
			row, err := columnsOf(item, paths)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return printColumns(out, rows)
	}, nil
}

func columnsOf(item any, paths []*jsonpath.JSONPath) ([]string, error) {
	var row []string
	for _, p := range paths {
		found, err := p.FindResults(item)
		if err != nil {
			return nil, err
		}
		var values []string
		for _, v := range slices.Concat(found...) {
			values = append(values, fmt.Sprint(v.Interface()))
		}
		row = append(row, strings.Join(values, ","))
	}
	return row, nil
}

// platformDocument is what programs get.
type platformDocument struct {
	Kind string `json:"kind"`
	// Origin is that of PlatformOptions.
	Origin string `json:"origin"`
	// Platforms are the IDs that sessions should admit.
	Platforms []attest.PlatformID `json:"platforms"`
	// Items are the nodes with SGX, or one item without name for each ID of a list.
	Items      []platformItem `json:"items"`
	WithoutSGX int            `json:"withoutSGX"`
	Warnings   []string       `json:"warnings"`
}

type platformItem struct {
	Name       string            `json:"name"`
	SGX        bool              `json:"sgx"`
	Usable     bool              `json:"usable"`
	Reason     string            `json:"reason"`
	PlatformID attest.PlatformID `json:"platformID"`
	Generation attest.Generation `json:"generation"`
	Provenance attest.Provenance `json:"provenance"`
	Sources    []string          `json:"sources"`
	LASPods    []string          `json:"lasPods"`
	Resources  []string          `json:"sgxResources"`
}

const (
	// declaredSource is the source of an ID of a plain list.
	declaredSource = "list"
	// declaredReason says why an ID of a plain list is not said to be usable.
	declaredReason = "not bound to a node"
)

// platformItems returns the rows: what a plain list declares, then the nodes.
func platformItems(i *platform.Inventory) []platformItem {
	items := []platformItem{}
	for _, id := range i.Declared {
		items = append(items, platformItem{
			SGX: true, Reason: declaredReason, PlatformID: id, Generation: id.Generation(), Provenance: attest.Declared,
			Sources: []string{declaredSource}, LASPods: []string{}, Resources: []string{},
		})
	}
	for _, n := range i.Nodes {
		sources := []string{}
		for _, s := range n.Sources {
			sources = append(sources, string(s))
		}
		items = append(items, platformItem{
			Name: n.Name, SGX: n.SGX, Usable: n.Usable, Reason: n.Reason, PlatformID: n.ID, Generation: n.ID.Generation(), Provenance: n.Provenance,
			Sources: sources, LASPods: append([]string{}, n.LASPods...), Resources: append([]string{}, n.Resources...),
		})
	}
	return items
}

func newPlatformDocument(i *platform.Inventory, origin string) *platformDocument {
	return &platformDocument{
		Kind: "confidb.platforms/v1", Origin: origin, Platforms: i.IDs(), WithoutSGX: i.WithoutSGX(),
		Items:    slices.DeleteFunc(platformItems(i), func(item platformItem) bool { return !item.SGX }),
		Warnings: append([]string{}, i.Warnings...),
	}
}

// object is the document as the printers of kubectl want it.
func (d *platformDocument) object() (runtime.Object, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := kubejson.Unmarshal(text, &content); err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetUnstructuredContent(content)
	return list, nil
}

func printPlatformJSON(out io.Writer, i *platform.Inventory, origin string) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(newPlatformDocument(i, origin))
}

func printPlatformYAML(out io.Writer, i *platform.Inventory, origin string) error {
	text, err := yaml.Marshal(newPlatformDocument(i, origin))
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// printPlatformNames prints what kubectl takes as an argument. An ID without node
// has none.
func printPlatformNames(out io.Writer, i *platform.Inventory, _ string) error {
	if len(i.Declared) > 0 {
		return cli.NewUsageError("-o name: a list of platform IDs names no nodes")
	}
	for _, n := range i.Nodes {
		if !n.SGX {
			continue
		}
		if _, err := fmt.Fprintf(out, "node/%s\n", n.Name); err != nil {
			return err
		}
	}
	return nil
}

// printPlatformSession prints the line for services[] of a session.
func printPlatformSession(out io.Writer, i *platform.Inventory, _ string) error {
	var ids []string
	for _, id := range i.IDs() {
		ids = append(ids, id.String())
	}
	_, err := fmt.Fprintf(out, "platforms: [%s]\n", strings.Join(ids, ","))
	return err
}

func printPlatformTable(out io.Writer, i *platform.Inventory, _ string) error {
	rows := [][]string{{"NODE", "PLATFORM ID", "GENERATION", "PROVENANCE", "STATE"}}
	for _, item := range platformItems(i) {
		if item.SGX {
			rows = append(rows, item.cells())
		}
	}
	return printColumns(out, rows)
}

func printPlatformTableWide(out io.Writer, i *platform.Inventory, _ string) error {
	rows := [][]string{{"NODE", "PLATFORM ID", "GENERATION", "PROVENANCE", "STATE", "SOURCE", "LAS POD", "SGX RESOURCE"}}
	for _, item := range platformItems(i) {
		rows = append(rows, append(item.cells(), strings.Join(item.Sources, ","), strings.Join(item.LASPods, ","), strings.Join(item.Resources, ",")))
	}
	return printColumns(out, rows)
}

func (item platformItem) cells() []string {
	state := "usable"
	if !item.Usable {
		state = item.Reason
	}
	return []string{item.Name, item.PlatformID.String(), string(item.Generation), string(item.Provenance), state}
}

// printColumns aligns rows with two spaces between columns; the usual three would
// not leave room for a platform ID on a terminal.
func printColumns(out io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for c, cell := range row {
			row[c] = kubeprinters.EscapeTerminal(cmp.Or(cell, "<none>"))
			widths[c] = max(widths[c], len(row[c]))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			fmt.Fprintf(&line, "%-*s", widths[c]+2, cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
