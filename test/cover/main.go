// Command cover reads a coverage profile of Go and prints for each package of the
// product how many of its statements the tests ran, marks those with too few, and
// then fails.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/confidb/confidb/"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cover PROFILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(file string, out io.Writer) error {
	profile, err := os.Open(file)
	if err != nil {
		return err
	}
	defer profile.Close()
	counts, err := read(profile)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return report(counts, out)
}

// count is of statements. The zero value has none.
type count struct{ run, all int }

func (c count) percent() float64 { return 100 * float64(c.run) / float64(c.all) }

// read counts the statements of each package. A profile of several packages' tests
// has each block once for each of them: it was run if any of them ran it.
func read(profile io.Reader) (map[string]count, error) {
	type block struct {
		statements int
		run        bool
	}
	blocks := map[string]block{}
	lines := bufio.NewScanner(profile)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "mode: ") {
			continue
		}
		fields := strings.Fields(lines.Text()) // FILE:FROM,TO STATEMENTS RUNS
		if len(fields) != 3 {
			return nil, fmt.Errorf("got the line %q", lines.Text())
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, err
		}
		blocks[fields[0]] = block{statements, blocks[fields[0]].run || fields[2] != "0"}
	}
	counts := map[string]count{}
	for place, b := range blocks {
		file, _, _ := strings.Cut(place, ":")
		folder := strings.TrimPrefix(path.Dir(file), module)
		c := counts[folder]
		c.all += b.statements
		if b.run {
			c.run += b.statements
		}
		counts[folder] = c
	}
	return counts, lines.Err()
}

// required is how many percent of a package's statements tests must run, and 0 for
// what is no part of the product.
func required(folder string) float64 {
	switch {
	case strings.HasPrefix(folder, "pkg/lab/"), path.Base(folder) == path.Base(path.Dir(folder))+"test", strings.Contains(folder, "/testdata"): // mariadb/mariadbtest is for tests, attest is not
		return 0
	case slices.Contains([]string{"pkg/change", "pkg/rollout", "pkg/deploy", "pkg/verify"}, folder):
		return 90 // they change and judge what runs
	case strings.HasPrefix(folder, "pkg/"), strings.HasPrefix(folder, "plugin/"):
		return 80
	}
	return 0
}

func report(counts map[string]count, out io.Writer) error {
	low := 0
	for _, folder := range slices.Sorted(maps.Keys(counts)) {
		c, want := counts[folder], required(folder)
		if want == 0 || c.all == 0 {
			continue
		}
		mark := ""
		if c.percent() < want {
			mark = fmt.Sprintf("  below %.0f %%", want)
			low++
		}
		fmt.Fprintf(out, "%-28s %5d statements %6.1f %%%s\n", folder, c.all, c.percent(), mark)
	}
	if low > 0 {
		return errors.New(strconv.Itoa(low) + " packages are below what is required")
	}
	return nil
}
