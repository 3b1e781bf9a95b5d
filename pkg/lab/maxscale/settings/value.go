package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parameter is a row of a table.
type parameter struct{ name, kind, standard, class string }

// rows reads tables.
func rows(tables ...string) map[string]parameter {
	all := map[string]parameter{}
	for _, table := range tables {
		for text := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
			if f := strings.Fields(text); len(f) == 4 {
				all[f[0]] = parameter{f[0], f[1], strings.TrimPrefix(f[2], "-"), f[3]}
				if f[2] != "-" {
					all[f[0]] = parameter{f[0], f[1], f[2], f[3]}
				}
			}
		}
	}
	return all
}

// check says what is wrong with a value, in MaxScale's words where they were measured.
func (p parameter) check(value string) (problem string) {
	kind, words, _ := strings.Cut(p.kind, ":")
	switch kind {
	case "bool":
		if _, ok := truth(value); !ok {
			return fmt.Sprintf("Invalid boolean: %s", value)
		}
	case "int":
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return fmt.Sprintf("Invalid integer: %s", value)
		}
	case "port":
		if n, err := strconv.ParseUint(value, 10, 16); err != nil || n == 0 && p.standard != "0" {
			return fmt.Sprintf("Invalid port: %s", value)
		}
	case "size":
		if _, ok := size(value); !ok {
			return fmt.Sprintf("Invalid size: %s", value)
		}
	case "duration", "seconds":
		d, ok := duration(value)
		if !ok {
			return fmt.Sprintf("Invalid duration: %s", value)
		}
		if kind == "seconds" && d%time.Second != 0 {
			return fmt.Sprintf("Invalid duration, granularity of seconds: %s", value)
		}
	case "enum":
		return oneOf(value, strings.Split(words, ","))
	case "tls":
		for word := range strings.SplitSeq(value, ",") {
			if _, ok := version(strings.TrimSpace(word)); !ok {
				return fmt.Sprintf("Invalid enumeration value: %s", word)
			}
		}
	}
	return ""
}

func oneOf(value string, words []string) string {
	if slices.Contains(words, value) {
		return ""
	}
	if slices.Contains(words, value+"!") {
		return fmt.Sprintf("lab stand-in: '%s' is not imitated", value)
	}
	return fmt.Sprintf("Invalid enumeration value: %s", value)
}

// truth reads the words of a switch.
func truth(value string) (on, ok bool) {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true, true
	case "false", "no", "off", "0":
		return false, true
	}
	return false, false
}

// duration reads a number with a unit.
func duration(value string) (time.Duration, bool) {
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseUint(digits, 10, 32)
	unit, ok := map[string]time.Duration{"h": time.Hour, "m": time.Minute, "min": time.Minute, "s": time.Second, "ms": time.Millisecond}[value[len(digits):]]
	return time.Duration(n) * unit, ok && err == nil
}

// size reads a number of bytes, with a unit of 1,000 (k, M, G, T) or 1,024 (Ki, …).
func size(value string) (int64, bool) {
	digits := strings.TrimRight(value, "kKMGTi")
	n, err := strconv.ParseInt(digits, 10, 64)
	base, unit := int64(1000), value[len(digits):]
	if short, binary := strings.CutSuffix(unit, "i"); binary {
		base, unit = 1024, short
	}
	power := strings.Index("kMGT", strings.Replace(unit, "K", "k", 1)) + 1
	if err != nil || n < 0 || len(unit) > 1 || len(unit) == 1 && power == 0 || unit == "" && base == 1024 || n > 1<<20 && unit != "" {
		return 0, false
	}
	for range power * len(unit) {
		n *= base
	}
	return n, true
}

// version is TLS's, in one of the two spellings of MaxScale; MAX is all of them.
func version(word string) (uint16, bool) {
	v, ok := map[string]uint16{"TLSv12": 0x303, "TLSv1.2": 0x303, "TLSv13": 0x304, "TLSv1.3": 0x304, "MAX": 0}[word]
	return v, ok
}

// Value is a parameter of a section.
type Value struct {
	Text string
	// Set: it stands in a file; otherwise it is the default. Implied: another parameter
	// of the section has set it.
	Set, Implied bool
	parameter    parameter
}

// Secret reports whether it is a password, which is shown nowhere.
func (v Value) Secret() bool { return v.parameter.kind == "password" }
