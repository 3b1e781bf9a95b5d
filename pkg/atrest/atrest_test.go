package atrest_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/atrest"
)

const nonce = "5d41402abc4b2a76b9719d911017c592"

// read runs the reader over a folder.
func read(t *testing.T, folder string) []byte {
	t.Helper()
	output, err := exec.Command("sh", "-c", atrest.Script(), "reader", filepath.Join(t.TempDir(), "control"), folder, nonce).Output()
	if err != nil {
		t.Fatal(err)
	}
	return output
}

func appraise(t *testing.T, output []byte, protected bool) atrest.Report {
	t.Helper()
	found, err := atrest.Appraise(output, nonce, protected)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// noise looks like cipher text, another for each seed.
func noise(seed, length int) []byte {
	var all []byte
	for i := 0; len(all) < length; i++ {
		sum := sha512.Sum512(fmt.Append(nil, seed, i))
		all = append(all, sum[:]...)
	}
	return all[:length]
}

// space is an InnoDB tablespace of four pages; version is that of the key of the fourth.
func space(version uint32) []byte {
	file := make([]byte, 65536)
	file[25], file[37], file[41], file[57] = 8, 7, 7, 0x15
	page := file[49152:]
	copy(page, noise(1, 100))
	binary.BigEndian.PutUint32(page, version)
	return file
}

// aria is the index of an Aria table.
func aria(encrypted byte) []byte {
	file := make([]byte, 8192)
	copy(file, "\xfe\xfe\x09\x03\x0c")
	file[13], file[0xd7+91] = 0xd7, encrypted
	return file
}

// binlog is a binary log with a second event of this type.
func binlog(second byte) []byte {
	file := append([]byte("\xfebin"), make([]byte, 400)...)
	file[8], file[13] = 15, 252
	file[4+252+4] = second
	return file
}

func starting(with string) []byte { return append([]byte(with), make([]byte, 4000)...) }

func write(t *testing.T, folder string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWithoutAVolumeOfTheSession names each file that MariaDB should have encrypted.
func TestWithoutAVolumeOfTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		clear   string // what it is said to be, empty for none
		unread  bool
	}{
		"ibdata1":                      {space(1), "", false},
		"undo001":                      {space(0), "tablespace of InnoDB in clear", false},
		"app/good.ibd":                 {space(7), "", false},
		"app/bare.ibd":                 {space(0), "tablespace of InnoDB in clear", false},
		"app/with a space\n.ibd":       {space(0), "tablespace of InnoDB in clear", false},
		"app/hidden":                   {space(0), "tablespace of InnoDB in clear", false},
		"app/new.ibd":                  {make([]byte, 65536), "", false},
		"app/short.ibd":                {space(1)[:20000], "", true},
		"app/odd.ibd":                  {noise(2, 65536), "", true},
		"ib_logfile0":                  {starting("\xf0\x9f\x97\x9d"), "", false},
		"ib_logfile1":                  {starting("Phys"), "redo log in clear", false},
		"ib_logfile101":                {starting("x"), "redo log in clear", false},
		"app/t.MAI":                    {aria(1), "", false},
		"app/u.MAI":                    {aria(0), "table of Aria in clear", false},
		"app/v.MAI":                    {starting("x"), "", true},
		"app/cut.MAI":                  {aria(1)[:100], "", true},
		"app/u.MAD":                    {starting("x"), "", false},
		"app/my.MYI":                   {starting("\xfe\xfe\x07\x01"), "table of MyISAM", false},
		"app/my.MYD":                   {starting("x"), "in a file that MariaDB does not encrypt", false},
		"app/empty.MYD":                {nil, "", false},
		"app/c.CSV":                    {starting("1"), "in a file that MariaDB does not encrypt", false},
		"app/general_log.CSV":          {starting("1"), "in a file that MariaDB does not encrypt", false},
		"mysql/general_log.CSV":        {starting("1"), "in a file that MariaDB does not encrypt", false},
		"app/t.frm":                    {starting("\xfe\x01\x0a\x0c"), "", false},
		"app/g.TRG":                    {starting("TYPE=TRIGGERS\n"), "", false},
		"binlog.000001":                {binlog(164), "", false},
		"binlog.000002":                {binlog(163), "binary log in clear", false},
		"relay.000002":                 {binlog(2), "binary log in clear", false},
		"elsewhere":                    {binlog(163), "", true}, // not read far enough
		"binlog.000003":                {[]byte("\xfebin"), "", false},
		"aria_log.00000001":            {starting("\xfe\xfe\x0b\x01MARIALOG"), "", false},
		"ib_buffer_pool":               {starting("1,2\n"), "", false},
		"notes":                        {starting("dear diary"), "", false},
		"-n":                           {starting("x"), "", false},
		".hidden.ibd":                  {space(0), "tablespace of InnoDB in clear", false},
		"..ibd":                        {space(0), "tablespace of InnoDB in clear", false},
		strings.Repeat("n", 200) + "é": {starting("x"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, map[string][]byte{name: c.content, "app/other.ibd": space(1)})
			found := appraise(t, read(t, folder), false)
			said := strings.Join(found.Clear, "\n")
			if c.clear == "" && said != "" || c.clear != "" && (len(found.Clear) != 1 || !strings.HasPrefix(said, name+" (") || !strings.Contains(said, c.clear)) {
				t.Errorf("got %q in clear, want %q", said, c.clear)
			}
			if (len(found.Unread) > 0) != c.unread || found.Files != 2 {
				t.Errorf("got %d files, unread %q", found.Files, found.Unread)
			}
		})
	}
}

// TestOnAVolumeOfTheSession: nothing of MariaDB is there, encrypted by it or not.
func TestOnAVolumeOfTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		content             []byte
		clear, unread, name int
	}{
		"objects/0123456789abcdef": {noise(1, 70000), 0, 0, 0},
		"log":                      {noise(2, 900), 0, 0, 0},
		"short":                    {noise(2, 9), 0, 0, 0},
		"empty":                    {nil, 0, 0, 0},
		"a head":                   {append(make([]byte, 4096), noise(3, 70000)...), 0, 0, 0},
		"app/t.ibd":                {noise(3, 70000), 0, 0, 1}, // whether names are hidden, SCONE does not promise
		"mysql/db.MAD":             {noise(4, 9000), 0, 0, 1},
		"binlog.000001":            {noise(5, 9000), 0, 0, 0},
		"app/u.ibd":                {space(1), 1, 0, 0},
		"objects/x":                {space(1), 1, 0, 0},
		"ib_logfile0":              {append([]byte("\xf0\x9f\x97\x9d"), make([]byte, 5000)...), 1, 0, 0},
		"objects/binlog":           {binlog(164), 1, 0, 0},
		"objects/aria.MAI":         {aria(1), 1, 0, 0},
		"objects/log":              {starting("\xfe\xfe\x0b\x01MARIALOG"), 1, 0, 0},
		"app/t.frm":                {starting("\xfe\x01\x0a\x0c"), 1, 0, 0},
		"app/db.opt":               {starting("default-character-set=utf8"), 1, 0, 0},
		"app/t.TRG":                {starting("TYPE=TRIGGERS\n"), 1, 0, 0},
		"master.info":              {[]byte("33\nlog\n"), 1, 0, 0},
		"dump.sql":                 {starting("INSERT INTO t VALUES ('secret')"), 0, 1, 0},
		"zeros":                    {make([]byte, 9000), 0, 1, 0},
	} {
		folder := t.TempDir()
		write(t, folder, map[string][]byte{name: c.content})
		found := appraise(t, read(t, folder), true)
		if len(found.Clear) != c.clear || len(found.Unread) != c.unread || found.Named != c.name || found.Files != 1 {
			t.Errorf("%s: got %+v, want %d in clear, %d unread, %d named", name, found, c.clear, c.unread, c.name)
		}
	}
}

// TestWhatIsNoFile: links and what cannot be read are no pass.
func TestWhatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(folder, "t.ibd")); err != nil {
		t.Fatal(err)
	}
	for _, protected := range []bool{false, true} {
		if found := appraise(t, read(t, folder), protected); !slices.Equal(found.Unread, []string{"t.ibd"}) {
			t.Errorf("got %+v", found)
		}
	}
	good := string(read(t, t.TempDir()))
	for end, want := range map[string]bool{"v:lost+found u end ": false, "v:app u end ": true, "v:x u end": true, "v:x g end": false, "v:x o end": true} {
		found := appraise(t, []byte(strings.Replace(good, "end ", end, 1)), false)
		if (len(found.Unread) > 0) != want {
			t.Errorf("%s: got %+v", end, found)
		}
	}
}

// TestWithoutAControl: a reader that does not report what it made itself is not believed.
func TestWithoutAControl(t *testing.T) {
	good := string(read(t, t.TempDir()))
	appraise(t, []byte(good), true)
	canary := fmt.Sprintf("%x", "confidb-canary-"+nonce)
	for name, output := range map[string]string{
		"nothing": "", "no end": strings.TrimSuffix(good, "end "), "no beginning": strings.TrimPrefix(good, "begin "),
		"no space": strings.Replace(good, "c:clear.ibd", "v:clear.ibd", 1), "no binary log": strings.Replace(good, "c:clear.000001", "c:clear.000002", 1),
		"an encrypted Aria": strings.Replace(good, "c:clear.MAI fefe09", "c:clear.MAI 000000", 1), "no canary": strings.Replace(good, "c:canary", "c:bird", 1),
		"another nonce": strings.Replace(good, canary, "00"+canary, 1), "a cut sample": strings.Replace(good, canary, canary[:20], 1),
		"no digits": strings.Replace(good, canary, "zz", 1), "a long sample": strings.Replace(good, canary, strings.Repeat("00", 65), 1),
		"no name": strings.Replace(good, "c:canary", ":", 1), "another kind": strings.Replace(good, "c:canary", "d:canary", 1),
		"an endless name": strings.Replace(good, "c:canary", "cx:", 1),
	} {
		if name != "nothing" && output == good {
			t.Fatalf("%s: nothing was changed in %.300q", name, good)
		}
		if found, err := atrest.Appraise([]byte(output), nonce, true); err == nil {
			t.Errorf("%s: got %+v, want an error", name, found)
		}
	}
	if _, err := atrest.Appraise([]byte(good), strings.Repeat("0", 32), true); err == nil {
		t.Error("a listing of another run is believed")
	}
}

// FuzzForms: whatever a file holds, it is judged, and a clear InnoDB page, binary log and
// index of Aria stay clear whatever follows.
func FuzzForms(f *testing.F) {
	for _, seed := range [][]byte{space(0)[:64], space(1)[:64], aria(0)[:512], binlog(163)[:400], []byte("\xfebin"), []byte("Phys"), nil} {
		f.Add("app/t.ibd", seed, []byte("x"))
		f.Add("binlog.000001", seed, seed)
	}
	f.Fuzz(func(t *testing.T, name string, first, second []byte) {
		first, second = first[:min(64, len(first))], second[:min(64, len(second))]
		what, clear, known := atrest.Judged(name, first, second)
		if clear && (what == "" || !known) {
			t.Errorf("%q: clear, and not known", name)
		}
		page := bytes.Repeat([]byte{0}, 64)
		copy(page[38:], second)
		page[7] = 3
		if !strings.Contains(name, "ibtmp") && !strings.HasSuffix(name, ".MAI") {
			if _, clear, _ := atrest.Judged("app/t.ibd", space(0)[:64], page); !clear {
				t.Errorf("a page in clear is not: %x", page)
			}
		}
	})
}
