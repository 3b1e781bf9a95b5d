package collateral

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/sgx"
)

// ParseFolder reads and verifies the files of a folder, by their names: bundles one by
// one, and the files of Intel's sample form (sgx.CollateralFileNames) as one bundle with
// the name of the folder. Without any file it is one bundle that cannot be read, whose
// error names what there could be.
func ParseFolder(folder string, files map[string][]byte, o sgx.Options) []Bundle {
	var all []Bundle
	sample := map[string][]byte{}
	for name, text := range files {
		if slices.Contains(sgx.CollateralFileNames(), name) {
			sample[name] = text
			continue
		}
		all = append(all, Parse(path.Join(folder, name), text, o))
	}
	if len(sample) > 0 || len(all) == 0 {
		all = append(all, parseSample(folder, sample, o))
	}
	sort.Slice(all, func(i, j int) bool { return all[i].File < all[j].File })
	return all
}

func parseSample(folder string, files map[string][]byte, o sgx.Options) Bundle {
	b := Bundle{File: folder}
	set, err := sgx.CollateralFromFiles(files)
	if err != nil {
		b.Err = err
		return b
	}
	b.Collateral = set[0]
	return b.verified(o)
}

// Carried are bundles that somebody carried here. They are an Origin.
type Carried []Bundle

// Fetch chooses one of them.
func (c Carried) Fetch(_ context.Context, r Request) (*sgx.Collateral, error) {
	for _, b := range c {
		if b.Err == nil && b.isFor(r) {
			return b.Collateral, nil
		}
	}
	return nil, fmt.Errorf("got no collateral for FMSPC %x and the %s CA in %s", r.FMSPC, r.CA, strings.Join(Names(c), " "))
}

// Requests ask for everything that was carried here, which must all be usable.
func (c Carried) Requests() ([]Request, error) {
	var all []Request
	for _, b := range c {
		if b.Err != nil {
			return nil, refuse(b.File, "Throw it away, and fetch it again.", "%w", b.Err)
		}
		if b.Contents.CA == "" {
			return nil, refuse(b.File, "Fetch it again, with the chain of the PCK CA.", "%w", b.Problems())
		}
		all = append(all, Request{FMSPC: b.Contents.FMSPC, CA: b.Contents.CA})
	}
	return all, nil
}
