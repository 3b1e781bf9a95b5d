package accounts

import (
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// sets are the character sets of MariaDB 10.11, each line with their collations but those of
// UCA 14.0.0, the set's own first and all without its name (information_schema.COLLATIONS).
// A server stops reading its init file, and says nothing, where it meets another.
const sets = `
armscii8 ascii cp1256 cp850 cp852 cp866 geostd8 greek hebrew keybcs2 koi8r koi8u macce macroman utf16le: general_ci bin general_nopad_ci nopad_bin
big5 gb2312 gbk: chinese_ci bin chinese_nopad_ci nopad_bin
cp1250: general_ci bin croatian_ci czech_cs general_nopad_ci nopad_bin polish_ci
cp1251: general_ci bin bulgarian_ci general_cs general_nopad_ci nopad_bin ukrainian_ci
cp1257: general_ci bin general_nopad_ci lithuanian_ci nopad_bin
cp932 eucjpms sjis ujis: japanese_ci bin japanese_nopad_ci nopad_bin
dec8 swe7: swedish_ci bin nopad_bin swedish_nopad_ci
euckr: korean_ci bin korean_nopad_ci nopad_bin
hp8: english_ci bin english_nopad_ci nopad_bin
latin1: swedish_ci bin danish_ci general_ci general_cs german1_ci german2_ci nopad_bin spanish_ci swedish_nopad_ci
latin2: general_ci bin croatian_ci czech_cs general_nopad_ci hungarian_ci nopad_bin
latin5: turkish_ci bin nopad_bin turkish_nopad_ci
latin7: general_ci bin estonian_cs general_cs general_nopad_ci nopad_bin
tis620: thai_ci bin nopad_bin thai_nopad_ci
ucs2 utf16 utf32 utf8mb3 utf8mb4: general_ci bin croatian_ci croatian_mysql561_ci czech_ci danish_ci esperanto_ci estonian_ci general_nopad_ci german2_ci hungarian_ci icelandic_ci latvian_ci lithuanian_ci myanmar_ci nopad_bin persian_ci polish_ci roman_ci romanian_ci sinhala_ci slovak_ci slovenian_ci spanish2_ci spanish_ci swedish_ci thai_520_w2 turkish_ci unicode_520_ci unicode_520_nopad_ci unicode_ci unicode_nopad_ci vietnamese_ci
ucs2 utf8mb3: general_mysql500_ci
`

// languages are those for which the Unicode character sets have collations of UCA 14.0.0.
const languages = "croatian_ czech_ danish_ esperanto_ estonian_ german2_ hungarian_ icelandic_ latvian_ lithuanian_ persian_ polish_ roman_ romanian_ sinhala_ slovak_ slovenian_ spanish2_ spanish_ swedish_ turkish_ vietnamese_"

// uca1400 begins the names of collations that several sets have (MariaDB: Supported
// Character Sets and Collations).
const uca1400 = "uca1400_"

// collations are the names of all collations, by character set, the set's own first.
func collations() map[string][]string {
	all := map[string][]string{"binary": {"binary"}}
	for line := range strings.SplitSeq(strings.TrimSpace(sets), "\n") {
		named, endings, _ := strings.Cut(line, ":")
		for set := range strings.FieldsSeq(named) {
			for ending := range strings.FieldsSeq(endings) {
				all[set] = append(all[set], set+"_"+ending)
			}
		}
	}
	for _, set := range []string{"ucs2", "utf16", "utf32", "utf8mb3", "utf8mb4"} {
		for _, language := range append(strings.Fields(languages), "") {
			for _, ending := range strings.Fields("ai_ci ai_cs as_ci as_cs nopad_ai_ci nopad_ai_cs nopad_as_ci nopad_as_cs") {
				all[set] = append(all[set], set+"_"+uca1400+language+ending)
			}
		}
	}
	return all
}

// ordinary are the characters of a database of which the document does not say any. What
// those of the server are would depend on its version.
const ordinary = "utf8mb4"

// characters are a character set and a collation as the server says them: the one that was
// not written follows from the other, and utf8 is the name of utf8mb3.
func (d decoder) characters(of *Database, n *document.Node, path string) {
	refuse := func(key, written, want string, known []string) {
		_, value := document.Lookup(n, key)
		d.Fail(value, document.Member(path, key), "got %q, want %s", document.Clip(written), want).Advice = document.Suggest(written, known)
	}
	set, collation := current(of.CharacterSet), current(of.Collation)
	all := collations()
	if set == "" && strings.HasPrefix(collation, uca1400) {
		refuse("collation", of.Collation, "its character-set beside it, as several have this collation", nil)
		return
	}
	if strings.HasPrefix(collation, uca1400) {
		collation = set + "_" + collation
	}
	switch {
	case set == "" && collation == "":
		set = ordinary
	case set == "":
		set, _, _ = strings.Cut(collation, "_")
	}
	known, is := all[set]
	switch {
	case !is && of.CharacterSet != "":
		refuse("character-set", of.CharacterSet, "a character set of MariaDB 10.11, such as utf8mb4", slices.Sorted(maps.Keys(all)))
		return
	case !is:
		refuse("collation", of.Collation, "a collation of MariaDB 10.11, such as utf8mb4_unicode_ci", nil)
		return
	case collation == "":
		collation = known[0]
	case !slices.Contains(known, collation):
		refuse("collation", of.Collation, "one of the character set "+set, known)
		return
	}
	of.CharacterSet, of.Collation = set, collation
}

// current is the name of a character set or collation that had a shorter one.
func current(name string) string {
	if name == "utf8" {
		return "utf8mb3"
	}
	if ending, ok := strings.CutPrefix(name, "utf8_"); ok {
		return "utf8mb3_" + ending
	}
	return name
}
