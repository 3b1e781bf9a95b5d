// Package atrest judges what lies on the volume of a database, as the host sees it: a
// reader outside the enclave takes the first bytes of each file and those of its fourth
// page, and here it is said which of them are files of MariaDB in clear.
//
// The reader is not trusted. What it says is the host's word, which finds what nobody
// meant to be so, and no host that lies. It is believed only beside a control of its own:
// files in clear that it makes itself must be among those that it reports.
package atrest

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed script.sh
var script string

// Script is what the reader runs: sh -c Script reader CONTROL VOLUME NONCE, where CONTROL is
// an empty folder and VOLUME is where the volume is.
func Script() string {
	return strings.NewReplacer("@SPACE@", octal(clearSpace()), "@PAGE@", octal(clearPage()), "@BINLOG@", octal(clearBinlog()), "@EVENT@", octal(clearEvent()), "@ARIA@", octal(clearAria())).Replace(script)
}

// octal writes bytes as printf's %b reads them.
func octal(content []byte) string {
	var b strings.Builder
	for _, c := range content {
		fmt.Fprintf(&b, `\0%03o`, c)
	}
	return b.String()
}

// clearSpace is the beginning of an InnoDB tablespace, clearPage that of its fourth page.
func clearSpace() []byte {
	page := make([]byte, sampled)
	page[25], page[37], page[41], page[57] = pageOfSpace, 9, 9, 0x15
	return page
}

func clearPage() []byte {
	page := make([]byte, sampled)
	page[7], page[24], page[25] = 3, 0x45, 0xbf
	return page
}

// clearBinlog is the beginning of a binary log: its first event is 296 bytes long, and
// clearEvent is the second, a list of GTIDs.
func clearBinlog() []byte {
	log := make([]byte, sampled)
	copy(log, binlogMagic)
	log[8], log[13], log[14] = formatEvent, 0x28, 1
	return log
}

func clearEvent() []byte {
	event := make([]byte, 19)
	event[4], event[9] = 163, 19
	return event
}

// clearAria is the beginning of the index of an Aria table.
func clearAria() []byte {
	index := make([]byte, sampled)
	copy(index, ariaMagic)
	index[13] = 0xd7
	return index
}

// Report is what was found.
type Report struct {
	// Files and Samples count what was read of the volume.
	Files, Samples int
	// Clear are files in clear, each with what it is; Unread those of which that is not
	// known. Both are names of others.
	Clear, Unread []string
	// Tolerated counts files of MariaDB that it never encrypts, and Named those of cipher text
	// under a name of MariaDB's.
	Tolerated, Named int
}

// Appraise judges what the reader wrote. protected means that the session has the volume
// encrypted as a whole: nothing on it may be a file of MariaDB then. An error means that the
// reader did not read, or that its control is missing.
func Appraise(output []byte, nonce string, protected bool) (Report, error) {
	files, err := parse(output)
	if err != nil {
		return Report{}, err
	}
	if err := controlled(files, nonce); err != nil {
		return Report{}, err
	}
	var found Report
	for _, f := range files {
		if f.control || f.gone {
			continue
		}
		found.Files++
		found.Samples += len(f.samples)
		found.add(f, protected)
	}
	return found, nil
}

func (r *Report) add(f file, protected bool) {
	what, state := f.judge()
	switch {
	case f.unread && f.name == "lost+found": // of the file system
	case f.unread, f.special:
		r.Unread = append(r.Unread, f.name)
	case protected && f.cipher():
		if what != "" {
			r.Named++
		}
	case protected && what != "":
		r.Clear = append(r.Clear, f.name+" ("+what+", which the volume should hide)")
	case protected && f.plain():
		r.Unread = append(r.Unread, f.name+" (neither cipher text nor a file of MariaDB)")
	case state == inClear:
		r.Clear = append(r.Clear, f.name+" ("+what+")")
	case state == unclear:
		r.Unread = append(r.Unread, f.name+" ("+what+")")
	case state == tolerated:
		r.Tolerated++
	}
}

// controlled asks that the reader has reported what it made itself: each form of file in
// clear, and the nonce of this run.
func controlled(files []file, nonce string) error {
	want := map[string]bool{"clear.ibd": true, "clear.000001": true, "clear.MAI": true, "canary": true}
	for _, f := range files {
		if !f.control {
			continue
		}
		_, state := f.judge()
		if f.name == "canary" && f.says("confidb-canary-"+nonce) || f.name != "canary" && state == inClear && want[f.name] {
			delete(want, f.name)
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("the reader did not report %d of the 4 files in clear that it makes as its control", len(want))
	}
	return nil
}
