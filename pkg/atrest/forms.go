package atrest

import (
	"bytes"
	"encoding/binary"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The beginnings of MariaDB's files (storage/innobase/include/log0types.h,
// storage/maria/ma_blockrec.h, sql/log_event.h, sql/unireg.h), as measured with 10.11.
const (
	ariaMagic   = "\xfe\xfe\x09"
	myisamMagic = "\xfe\xfe\x07"
	ariaLog     = "\xfe\xfe\x0b\x01MARIALOG"
	ariaControl = "\xfe\xfe\x0c"
	binlogMagic = "\xfebin"
	redoClear   = "Phys"
	redoSecret  = "\xf0\x9f\x97\x9d"

	pageOfSpace     = 8   // FIL_PAGE_TYPE_FSP_HDR
	formatEvent     = 15  // FORMAT_DESCRIPTION_EVENT
	encryptionEvent = 164 // START_ENCRYPTION_EVENT
	fullCRC32       = 0x10
	ariaEncrypted   = 91 // after the base of an Aria index, whose bit 0 says it
)

// state is what can be said of a file. The zero value is one that is no file of MariaDB's.
type state int

const (
	foreign   state = iota
	empty           // there is nothing in it yet
	encrypted       // by MariaDB
	tolerated       // in clear, as MariaDB always writes it: a limitation, no finding
	inClear
	unclear // it cannot be said
)

// isLong means that the samples of a file follow each other.
func (f file) isLong() bool {
	return strings.HasSuffix(f.name, ".MAI") || regexp.MustCompile(`\.[0-9]{6}$`).MatchString(f.name)
}

// judge says what a file is, and whether it is in clear. What it is is empty for no file of
// MariaDB's.
func (f file) judge() (what string, s state) {
	head := f.head()
	begins := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case isSpace(head) || f.calledSpace() && len(head) > 0:
		return f.judgeSpace()
	case begins(redoSecret):
		return "redo log", encrypted
	case begins(redoClear), strings.HasPrefix(path.Base(f.name), "ib_logfile") && len(head) > 0:
		return "redo log in clear", inClear
	case begins(binlogMagic):
		return judgeBinlog(head)
	case begins(ariaLog), begins(ariaControl):
		return "log of Aria", tolerated
	case begins(ariaMagic):
		return judgeAria(head)
	case begins(myisamMagic):
		return "table of MyISAM", inClear
	}
	return f.judgeByName(head)
}

// isSpace reports whether this is the first page of an InnoDB tablespace: of its type, with
// its space twice.
func isSpace(head []byte) bool {
	return len(head) == sampled && binary.BigEndian.Uint32(head[4:]) == 0 && binary.BigEndian.Uint16(head[24:]) == pageOfSpace && bytes.Equal(head[34:38], head[38:42])
}

func (f file) calledSpace() bool {
	base := path.Base(f.name)
	return strings.HasSuffix(base, ".ibd") || regexp.MustCompile(`^(ibdata[0-9]+|undo[0-9]{3}|ibtmp[0-9]+)$`).MatchString(base)
}

// judgeSpace looks at the fourth page: the first one is never encrypted. A page tells by the
// version of its key, but for those of temporary tables, which have none.
func (f file) judgeSpace() (string, state) {
	head := f.head()
	switch {
	case len(f.samples) == 2 && zero(f.samples[1]), len(f.samples) == 1 && zero(head):
		return "tablespace of InnoDB", empty
	case len(f.samples) != 2 || len(f.samples[1]) != sampled || len(head) != sampled:
		return "tablespace of InnoDB without its first pages", unclear
	}
	page := f.samples[1]
	if strings.HasPrefix(path.Base(f.name), "ibtmp") {
		if bytes.Count(page[38:], []byte{0}) < 8 {
			return "temporary tables of InnoDB", encrypted
		}
		return "temporary tables of InnoDB in clear", inClear
	}
	if !zero(head) && !isSpace(head) {
		return "named as a tablespace of InnoDB, and another form", unclear
	}
	flags, version := binary.BigEndian.Uint32(head[54:]), page[26:30]
	if zero(head) || flags&fullCRC32 != 0 {
		version = page[:4]
		if size := flags & 0xf; !zero(head) && (size < 3 || size > 5) { // of 4 to 16 KiB
			return "tablespace of InnoDB with large pages", unclear
		}
	}
	if zero(version) {
		return "tablespace of InnoDB in clear", inClear
	}
	return "tablespace of InnoDB", encrypted
}

// judgeBinlog looks at the second event, which says that all that follows is encrypted.
func judgeBinlog(head []byte) (string, state) {
	const header = 19
	if len(head) < len(binlogMagic)+header {
		return "binary log that begins now", empty
	}
	if head[len(binlogMagic)+4] != formatEvent {
		return "binary log without its first event", unclear
	}
	second := uint64(len(binlogMagic)) + uint64(binary.LittleEndian.Uint32(head[len(binlogMagic)+9:]))
	switch {
	case second+5 > uint64(len(head)) && len(head) < maxSamples*sampled && len(head)%sampled != 0:
		return "binary log that begins now", empty
	case second+5 > uint64(len(head)):
		return "binary log whose second event is far away", unclear
	case head[second+4] != encryptionEvent:
		return "binary log in clear", inClear
	}
	return "binary log", encrypted
}

func judgeAria(head []byte) (string, state) {
	if len(head) < 14 {
		return "index of Aria that is cut", unclear
	}
	at := int(binary.BigEndian.Uint16(head[12:])) + ariaEncrypted
	switch {
	case at >= len(head):
		return "index of Aria with a long head", unclear
	case head[at]&1 == 0:
		return "table of Aria in clear", inClear
	}
	return "table of Aria", encrypted
}

// judgeByName judges what has no mark of its own.
func (f file) judgeByName(head []byte) (string, state) {
	base, extension := path.Base(f.name), path.Ext(f.name)
	switch {
	case len(head) == 0:
		return "", empty
	case slices.Contains([]string{".MYD", ".MYI", ".CSV", ".ARZ", ".ARM"}, extension):
		return "table in a file that MariaDB does not encrypt", inClear
	case extension == ".MAI":
		return "named as an index of Aria, and another form", unclear
	case bytes.HasPrefix(head, []byte("\xfe\x01")) && (len(head) < 8 || zero(head[14:min(16, len(head))]) || extension == ".frm"):
		return "definition of a table", tolerated
	case bytes.HasPrefix(head, []byte("TYPE=")), bytes.HasPrefix(head, []byte("TABLE_NAME=")), bytes.HasPrefix(head, []byte("default-character-set=")):
		return "definition", tolerated
	case slices.Contains([]string{"ib_buffer_pool", "ddl_recovery.log", "master.info", "relay-log.info", "multi-master.info", "mysql_upgrade_info", "aria_log_control"}, base), extension == ".MAD", extension == ".CSM":
		return "file of MariaDB", tolerated
	}
	return "", foreign
}

// likely is how many different bytes 64 bytes of cipher text have at least: 57 is what to
// expect, and fewer than 40 are in none of 10^9.
const likely = 40

// plain reports whether a file is none of cipher text.
func (f file) plain() bool {
	judged, secret := f.weigh()
	return judged > 0 && secret == 0
}

// cipher reports whether a file is cipher text wherever it was looked at.
func (f file) cipher() bool {
	judged, secret := f.weigh()
	return judged > 0 && judged == secret
}

// weigh counts the samples that are long enough, and those that look like cipher text.
func (f file) weigh() (judged, secret int) {
	for _, s := range f.samples {
		if len(s) < sampled {
			continue
		}
		if judged++; different(s) >= likely {
			secret++
		}
	}
	return judged, secret
}

func different(bytes []byte) int {
	var seen [256]bool
	n := 0
	for _, b := range bytes {
		if !seen[b] {
			seen[b] = true
			n++
		}
	}
	return n
}

func zero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }
