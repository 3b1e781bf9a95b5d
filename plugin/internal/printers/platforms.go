package printers

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/util/jsonpath"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
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
	extract, err := extractor(format)
	return func(streams genericiooptions.IOStreams, i *platform.Inventory, origin string, simulated bool) error {
		d := platforms{Head{"confidb.platforms/v1", simulated}, i.Listing(origin)}
		switch format {
		case "", "json", "yaml":
			return Print(streams.Out, format, d)
		case "wide":
			return Print(streams.Out, "", widePlatforms{d})
		}
		if simulated { // what is extracted has no place for it
			fmt.Fprintf(streams.ErrOut, "%s\n\n", banner)
		}
		return extract(streams.Out, d)
	}, err
}

// extractor returns what writes a part of the document that a program asks for; nil for
// the formats that hold all of it.
func extractor(format string) (func(out io.Writer, d platforms) error, error) {
	switch format {
	case "", "json", "yaml", "wide":
		return nil, nil
	case "name":
		return writeNames, nil
	case "session":
		return writeSessionLine, nil
	}
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
	return func(out io.Writer, d platforms) error {
		object, err := d.object()
		if err != nil {
			return err
		}
		return p.PrintObj(object, out)
	}, nil
}

// writeNames writes what kubectl takes as an argument. An ID without node has none.
func writeNames(out io.Writer, d platforms) error {
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

// writeSessionLine writes the line for services[] of a session.
func writeSessionLine(out io.Writer, d platforms) error {
	_, err := fmt.Fprintf(out, "platforms: [%s]\n", joined(d.Platforms, attest.PlatformID.String))
	return err
}

func joined[T any](all []T, word func(T) string) string {
	var words []string
	for _, one := range all {
		words = append(words, word(one))
	}
	return strings.Join(words, ",")
}

// customColumns writes one row for each item: HEADER:.path,HEADER:.path. The
// printer of kubectl get takes as long to load as all the rest of this program.
func customColumns(spec string) (func(out io.Writer, d platforms) error, error) {
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
	return func(out io.Writer, d platforms) error {
		object, err := d.object()
		if err != nil {
			return err
		}
		rows := [][]string{headers}
		items, _ := object.UnstructuredContent()["items"].([]any)
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

// platforms is the document of machines.
type platforms struct {
	Head
	platform.Listing
}

// object is the document as the printers of kubectl want it.
func (d platforms) object() (*unstructured.UnstructuredList, error) {
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

// Text writes a table of 80 columns.
func (d platforms) Text(p *Page) {
	rows := [][]string{{"NODE", "PLATFORM ID", "PROVENANCE", "STATE"}}
	for _, n := range d.Nodes {
		if n.SGX {
			rows = append(rows, []string{n.Name, n.ID.String(), string(n.Provenance), n.State()})
		}
	}
	p.Columns(narrow(rows))
}

// widePlatforms has everything in its table, also nodes without SGX.
type widePlatforms struct{ platforms }

// Text writes a table as wide as it gets.
func (d widePlatforms) Text(p *Page) {
	rows := [][]string{{"NODE", "PLATFORM ID", "GENERATION", "PROVENANCE", "STATE", "SOURCE", "LAS POD", "SGX RESOURCE", "TCB"}}
	for _, n := range d.Nodes {
		tcb := ""
		if n.Quote != nil {
			tcb = string(n.Quote.Status)
		}
		rows = append(rows, []string{
			n.Name, n.ID.String(), string(n.ID.Generation()), string(n.Provenance), n.State(),
			joined(n.Sources, func(s platform.Source) string { return string(s) }), strings.Join(n.LASPods, ","), strings.Join(n.Resources, ","), tcb,
		})
	}
	p.Columns(rows)
}

// Widths in the table of platforms: of what the state of a node needs at least, and of a
// name at most. A name is at most 253 characters long.
const (
	leastState  = 14
	longestName = 28
)

// narrow makes a table of NODE, PLATFORM ID, PROVENANCE and STATE fit a terminal: it
// breaks the lines of the state; if that does not do, it shortens the IDs and then
// the names in the middle. -o wide has everything.
func narrow(rows [][]string) [][]string {
	for i, shorten := range []func(string) string{attest.ShortID, shortName} {
		if column := 1 - i; left(rows) < leastState {
			for _, row := range rows[1:] {
				row[column] = shorten(row[column])
			}
		}
	}
	state := left(rows)
	var all [][]string
	for _, row := range rows {
		var words []string
		for _, word := range strings.Fields(row[3]) {
			for piece := range slices.Chunk([]rune(word), state) {
				words = append(words, string(piece))
			}
		}
		for i, line := range broken(strings.Join(words, " "), state) {
			if i > 0 {
				row = []string{" ", " ", " ", ""} // nothing is <none>
			}
			all = append(all, append(row[:3:3], line))
		}
	}
	return all
}

// left is how wide the last column may be.
func left(rows [][]string) int {
	left := width
	for c := range 3 {
		widest := len("<none>")
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[c]))
		}
		left -= widest + 2
	}
	return left
}

func shortName(name string) string { return middleOut(name, longestName) }

// middleOut keeps the beginning and the end of text.
func middleOut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	tail := (width - 1) / 2
	return string(runes[:width-1-tail]) + "…" + string(runes[len(runes)-tail:])
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
