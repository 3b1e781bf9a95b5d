package atrest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// sampled is how many bytes one sample has at most.
	sampled = 64
	// maxFiles bounds how many files are judged, and maxSamples how many samples one has.
	maxFiles, maxSamples = 200_000, 8
)

// file is one of a listing. The zero value is an empty file.
type file struct {
	name    string // below the volume, as bytes
	control bool   // of the reader's own making
	// unread means that it could not be read, special that it is no file and no folder,
	// and gone that it was removed meanwhile.
	unread, special, gone bool
	samples               [][]byte
}

// head is what is known from the beginning of the file without a gap.
func (f file) head() []byte {
	if len(f.samples) == 0 {
		return nil
	}
	if f.isLong() {
		return bytes.Join(f.samples, nil)
	}
	return f.samples[0]
}

// says reports whether the file is this text.
func (f file) says(text string) bool { return string(f.head()) == text[:min(len(text), sampled)] }

// errCut means that the listing has no end, as when a log was cut.
var errCut = errors.New("what the reader wrote is not whole")

// parse reads what script.sh writes.
func parse(output []byte) ([]file, error) {
	words := strings.Fields(string(output))
	if len(words) < 2 || words[0] != "begin" || words[len(words)-1] != "end" {
		return nil, errCut
	}
	var files []file
	words = words[1 : len(words)-1]
	for len(words) > 0 {
		f, rest, err := parseName(words)
		if err != nil {
			return nil, err
		}
		if words, err = f.parseSamples(rest); err != nil {
			return nil, err
		}
		if files = append(files, f); len(files) > maxFiles {
			return nil, fmt.Errorf("more than %d files", maxFiles)
		}
	}
	return files, nil
}

func parseName(words []string) (f file, rest []string, err error) {
	kind, name, ok := strings.Cut(words[0], ":")
	rest = words[1:]
	if kind == "cx" || kind == "vx" {
		var b strings.Builder
		for len(rest) > 0 && rest[0] != "." {
			part, err := hex.DecodeString(rest[0])
			if err != nil {
				return f, nil, fmt.Errorf("reading a name: %w", err)
			}
			b.Write(part)
			rest = rest[1:]
		}
		if len(rest) == 0 || name != "" {
			return f, nil, errCut
		}
		name, rest = b.String(), rest[1:]
	}
	if !ok || name == "" || kind[0] != 'c' && kind[0] != 'v' || len(kind) > 1 && kind[1:] != "x" {
		return f, nil, errors.New("what the reader wrote names no file")
	}
	return file{name: name, control: kind[0] == 'c'}, rest, nil
}

// parseSamples reads words up to the next name.
func (f *file) parseSamples(words []string) (rest []string, err error) {
	for ; len(words) > 0 && !strings.Contains(words[0], ":"); words = words[1:] {
		switch words[0] {
		case "u":
			f.unread = true
		case "g":
			f.gone = true
		case "l", "o":
			f.special = true
		default:
			sample, err := hex.DecodeString(words[0])
			if err != nil || len(sample) > sampled {
				return nil, fmt.Errorf("what the reader wrote of %q is no sample", f.name)
			}
			if f.samples = append(f.samples, sample); len(f.samples) > maxSamples {
				return nil, fmt.Errorf("%q has more than %d samples", f.name, maxSamples)
			}
		}
	}
	return words, nil
}
