// Package verbs holds what both plugins do: install and verify. The plugins themselves
// only give it flags in their own style.
package verbs

import "github.com/confidb/confidb/pkg/files"

func readBounded(path string) ([]byte, error) { return files.Read(path) }

const maxInput = files.MaxBytes
