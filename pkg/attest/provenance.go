package attest

import "fmt"

// ParseProvenance reads quoted, declared or claimed. Not known at all has no word.
func ParseProvenance(text string) (Provenance, error) {
	switch p := Provenance(text); p {
	case Quoted, Declared, Claimed:
		return p, nil
	}
	return "", fmt.Errorf("got %.40q, want %s, %s or %s", text, Quoted, Declared, Claimed)
}
