package printers

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/util/jsonpath"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// PlatformFormats lists the output formats of machines; those that end in = want a
// template.
func PlatformFormats() []string {
	return []string{"wide", "json", "yaml", "name", "session", "jsonpath=", "go-template=", "custom-columns="}
}

// PrintPlatforms prints the machines of an inventory. origin is where the IDs come
// from; simulated is true if quotes are trusted that do not rest on Intel's root.
type PrintPlatforms func(streams genericiooptions.IOStreams, i *platform.Inventory, origin string, simulated bool) error

// Platforms returns what prints machines in one of PlatformFormats, or in a table if
// the format is empty. An unknown one is a usage error.
func Platforms(format string) (PrintPlatforms, error) {
	switch format {
	case "", "json", "yaml":
		return func(streams genericiooptions.IOStreams, i *platform.Inventory, origin string, simulated bool) error {
			return Print(streams.Out, format, newPlatformDocument(i, origin, simulated))
		}, nil
	case "wide":
		return func(streams genericiooptions.IOStreams, i *platform.Inventory, origin string, simulated bool) error {
			return Print(streams.Out, "", wideDocument{newPlatformDocument(i, origin, simulated)})
		}, nil
	case "name":
		return warning(platformNames), nil
	case "session":
		return warning(platformSession), nil
	}
	return platformTemplate(format)
}

// warning says of a simulated result on standard error that it is one: the format has
// no place for it.
func warning(print func(out io.Writer, d platformDocument) error) PrintPlatforms {
	return func(streams genericiooptions.IOStreams, i *platform.Inventory, origin string, simulated bool) error {
		if simulated {
			fmt.Fprintf(streams.ErrOut, "%s\n\n", banner)
		}
		return print(streams.Out, newPlatformDocument(i, origin, simulated))
	}
}

func platformTemplate(format string) (PrintPlatforms, error) {
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
	return warning(func(out io.Writer, d platformDocument) error {
		object, err := d.object()
		if err != nil {
			return err
		}
		return p.PrintObj(object, out)
	}), nil
}

// customColumns prints one row for each item: HEADER:.path,HEADER:.path. The
// printer of kubectl get takes as long to load as all the rest of this program.
func customColumns(spec string) (PrintPlatforms, error) {
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
	return warning(func(out io.Writer, d platformDocument) error {
		object, err := d.object()
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
		var page Page
		page.Columns(rows)
		_, err = io.WriteString(out, page.String())
		return err
	}), nil
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
	Head
	// Origin is where the IDs come from, in the user's words.
	Origin string `json:"origin"`
	// Platforms are the IDs that sessions should admit.
	Platforms []attest.PlatformID `json:"platforms"`
	// Items are the nodes with SGX, or one item without name for each ID of a list.
	Items      []platformItem `json:"items"`
	WithoutSGX int            `json:"withoutSGX"`
	Warnings   []string       `json:"warnings"`

	all []platformItem // also the nodes without SGX
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

func newPlatformDocument(i *platform.Inventory, origin string, simulated bool) platformDocument {
	all := platformItems(i)
	return platformDocument{
		Head: Head{"confidb.platforms/v1", simulated}, Origin: origin, Platforms: i.IDs(), WithoutSGX: i.WithoutSGX(),
		Items:    slices.DeleteFunc(slices.Clone(all), func(item platformItem) bool { return !item.SGX }),
		Warnings: append([]string{}, i.Warnings...), all: all,
	}
}

// object is the document as the printers of kubectl want it.
func (d platformDocument) object() (runtime.Object, error) {
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

// platformNames prints what kubectl takes as an argument. An ID without node has none.
func platformNames(out io.Writer, d platformDocument) error {
	var names strings.Builder
	for _, item := range d.Items {
		if item.Name == "" {
			return cli.NewUsageError("-o name: a list of platform IDs names no nodes")
		}
		fmt.Fprintf(&names, "node/%s\n", item.Name)
	}
	_, err := io.WriteString(out, names.String())
	return err
}

// platformSession prints the line for services[] of a session.
func platformSession(out io.Writer, d platformDocument) error {
	var ids []string
	for _, id := range d.Platforms {
		ids = append(ids, id.String())
	}
	_, err := fmt.Fprintf(out, "platforms: [%s]\n", strings.Join(ids, ","))
	return err
}

// Text writes a table of 80 columns.
func (d platformDocument) Text(p *Page) {
	rows := [][]string{{"NODE", "PLATFORM ID", "PROVENANCE", "STATE"}}
	for _, item := range d.Items {
		rows = append(rows, []string{item.Name, item.PlatformID.String(), string(item.Provenance), item.state()})
	}
	p.Columns(narrow(rows))
}

// wideDocument has everything in its table, also nodes without SGX.
type wideDocument struct{ platformDocument }

// Text writes a table as wide as it gets.
func (d wideDocument) Text(p *Page) {
	rows := [][]string{{"NODE", "PLATFORM ID", "GENERATION", "PROVENANCE", "STATE", "SOURCE", "LAS POD", "SGX RESOURCE", "TCB"}}
	for _, item := range d.all {
		rows = append(rows, []string{
			item.Name, item.PlatformID.String(), string(item.Generation), string(item.Provenance), item.state(),
			strings.Join(item.Sources, ","), strings.Join(item.LASPods, ","), strings.Join(item.Resources, ","), item.tcb(),
		})
	}
	p.Columns(rows)
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

// Remark tells on standard error what the result alone does not: warnings, that the
// cluster was not asked, and in the table how many nodes it leaves out.
func Remark(errOut io.Writer, i *platform.Inventory, origin, format string) {
	Warn(errOut, i.Warnings...)
	if len(i.Declared) > 0 {
		fmt.Fprintf(errOut, "the platform IDs are from %s; the cluster was not asked\n", origin)
	}
	if without := i.WithoutSGX(); without > 0 && format == "" {
		fmt.Fprintf(errOut, "%d of %d nodes have no SGX (-o wide lists them)\n", without, len(i.Nodes))
	}
}
