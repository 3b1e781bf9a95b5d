package verbs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	kubeprinters "k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// about is what is said of an inventory beside what is in it.
type about struct {
	// origin is that of PlatformOptions.
	origin    string
	simulated bool
}

// printInventory writes an inventory.
type printInventory func(out io.Writer, i *platform.Inventory, a about) error

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
	return func(out io.Writer, i *platform.Inventory, a about) error {
		object, err := newPlatformDocument(i, a).object()
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
	return func(out io.Writer, i *platform.Inventory, a about) error {
		object, err := newPlatformDocument(i, a).object()
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
	// Simulated is true if quotes are trusted that do not rest on Intel's root.
	Simulated bool `json:"simulated"`
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
	// Quote is what Intel's collateral says of the machine; null unless quoted.
	Quote         *quoteItem `json:"quote"`
	KernelVersion string     `json:"kernelVersion"`
	OSImage       string     `json:"osImage"`
	BootID        string     `json:"bootID"`
}

// quoteItem is what a quote adds to an ID.
type quoteItem struct {
	FMSPC            string        `json:"fmspc"`
	TCBStatus        sgx.TCBStatus `json:"tcbStatus"`
	EvaluationNumber int           `json:"evaluationDataNumber"`
}

func newQuoteItem(q *platform.Quote) *quoteItem {
	if q == nil {
		return nil
	}
	return &quoteItem{q.FMSPC, q.Status, q.EvaluationNumber}
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
			Quote: newQuoteItem(n.Quote), KernelVersion: n.KernelVersion, OSImage: n.OSImage, BootID: n.BootID,
		})
	}
	return items
}

func newPlatformDocument(i *platform.Inventory, a about) *platformDocument {
	return &platformDocument{
		Kind: "confidb.platforms/v1", Origin: a.origin, Simulated: a.simulated, Platforms: i.IDs(), WithoutSGX: i.WithoutSGX(),
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

func printPlatformJSON(out io.Writer, i *platform.Inventory, a about) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(newPlatformDocument(i, a))
}

func printPlatformYAML(out io.Writer, i *platform.Inventory, a about) error {
	text, err := yaml.Marshal(newPlatformDocument(i, a))
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// printPlatformNames prints what kubectl takes as an argument. An ID without node
// has none.
func printPlatformNames(out io.Writer, i *platform.Inventory, _ about) error {
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
func printPlatformSession(out io.Writer, i *platform.Inventory, _ about) error {
	var ids []string
	for _, id := range i.IDs() {
		ids = append(ids, id.String())
	}
	_, err := fmt.Fprintf(out, "platforms: [%s]\n", strings.Join(ids, ","))
	return err
}

// printPlatformTable prints a table of 80 columns.
func printPlatformTable(out io.Writer, i *platform.Inventory, _ about) error {
	rows := [][]string{{"NODE", "PLATFORM ID", "PROVENANCE", "STATE"}}
	for _, item := range platformItems(i) {
		if item.SGX {
			rows = append(rows, []string{item.Name, item.PlatformID.String(), string(item.Provenance), item.state()})
		}
	}
	return printColumns(out, narrow(rows))
}

func printPlatformTableWide(out io.Writer, i *platform.Inventory, _ about) error {
	rows := [][]string{{"NODE", "PLATFORM ID", "GENERATION", "PROVENANCE", "STATE", "SOURCE", "LAS POD", "SGX RESOURCE", "TCB"}}
	for _, item := range platformItems(i) {
		rows = append(rows, []string{
			item.Name, item.PlatformID.String(), string(item.Generation), string(item.Provenance), item.state(),
			strings.Join(item.Sources, ","), strings.Join(item.LASPods, ","), strings.Join(item.Resources, ","), item.tcb(),
		})
	}
	return printColumns(out, rows)
}

func (item platformItem) state() string {
	if item.Usable {
		return "usable"
	}
	return item.Reason
}

func (item platformItem) tcb() string {
	if item.Quote == nil {
		return ""
	}
	return string(item.Quote.TCBStatus)
}

// printColumns aligns rows with two spaces between columns; the usual three would
// not leave room for a platform ID on a terminal.
func printColumns(out io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for c, cell := range row {
			row[c] = kubeprinters.EscapeTerminal(cmp.Or(cell, "<none>"))
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c]))
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
