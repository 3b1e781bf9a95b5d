package flags

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/sgx"
)

// maxCollateralFiles bounds the number of bundles in one folder.
const maxCollateralFiles = 64

// ReadCollateral reads a bundle, or a folder in the form of Intel's sample data, of
// bundles, or of both. A single bundle is named bundle.json.
func ReadCollateral(path string) (map[string][]byte, error) {
	folder, err := isFolder(path)
	if err != nil {
		return nil, err
	}
	if folder {
		return files.ReadFolder(path, maxCollateralFiles, isCollateral)
	}
	text, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"bundle.json": text}, nil
}

// ReadBundles reads what ReadCollateral reads, and verifies each bundle on its own.
func ReadBundles(path string, o sgx.Options) ([]collateral.Bundle, error) {
	texts, err := ReadCollateral(path)
	if err != nil {
		return nil, err
	}
	folder, err := isFolder(path)
	if err != nil {
		return nil, err
	}
	if !folder {
		return []collateral.Bundle{collateral.Parse(path, texts["bundle.json"], o)}, nil
	}
	return collateral.ParseFolder(path, texts, o), nil
}

func isFolder(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}

func isCollateral(name string) bool {
	return filepath.Ext(name) == ".json" || slices.Contains(sgx.CollateralFileNames(), name)
}
