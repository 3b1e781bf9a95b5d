package pcs

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/sgx"
)

// maxFiles bounds the number of files in one folder.
const maxFiles = 64

// single is the name of a bundle that is not in a folder.
const single = "bundle.json"

// ReadFiles reads collateral that somebody carried here: a bundle, or a folder in the form
// of Intel's sample data, of bundles, or of both. A bundle that is not in a folder is named
// bundle.json.
func ReadFiles(path string) (map[string][]byte, error) {
	texts, _, err := readFiles(path)
	return texts, err
}

// ReadBundles reads what ReadFiles reads, and verifies each bundle on its own. It is an
// error if none is in a form that is read.
func ReadBundles(path string, o sgx.Options) ([]collateral.Bundle, error) {
	texts, folder, err := readFiles(path)
	if err != nil {
		return nil, err
	}
	if folder {
		all := collateral.ParseFolder(path, texts, o)
		return all, collateral.Readable(all)
	}
	all := []collateral.Bundle{collateral.Parse(path, texts[single], o)}
	return all, collateral.Readable(all)
}

func readFiles(path string) (texts map[string][]byte, folder bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if info.IsDir() {
		texts, err = files.ReadFolder(path, maxFiles, isCollateral)
		return texts, true, err
	}
	text, err := files.Read(path)
	if err != nil {
		return nil, false, err
	}
	return map[string][]byte{single: text}, false, nil
}

func isCollateral(name string) bool {
	return filepath.Ext(name) == ".json" || slices.Contains(sgx.CollateralFileNames(), name)
}

// Export writes collateral that is not there yet: to a name that ends in .json a bundle,
// to any other a folder of single files. There the certificate of one machine is left out:
// it is personal data, and collateral is for all of its family.
func Export(to string, c *sgx.Collateral) error {
	if err := files.Free(to); err != nil {
		return err
	}
	if filepath.Ext(to) == ".json" {
		text, err := c.Bundle()
		if err != nil {
			return err
		}
		return files.Replace(to, text, files.Public)
	}
	shared := *c
	shared.PCKCertificate = nil
	return files.CreateFolder(to, shared.Files(), files.Public)
}
