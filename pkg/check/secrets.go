package check

import (
	"regexp"
	"strings"
	"sync"
)

// hidden stands where a credential stood.
const hidden = "***"

// forms are the expressions of this file. They are compiled when the first text is
// cleaned: most runs never do, and to compile them takes longer than to print a version.
type forms struct {
	// credentials are the forms in which a credential gets into what libraries say of a
	// failure. The first group stays; of the rest nothing does.
	credentials []*regexp.Regexp
	// quoted is a URL in quotes, in which a broken one may have blanks; address is one in
	// running text, and escaped one as the value of a query.
	quoted, address, escaped *regexp.Regexp
	// bare is user:password@host without a scheme, as in variables that name a proxy.
	bare *regexp.Regexp
	// host is what an authority is after its user.
	host *regexp.Regexp
}

var compiled = sync.OnceValue(func() *forms {
	return &forms{
		credentials: []*regexp.Regexp{
			// Authorization and the like, as headers; a bearer's token, wherever it stands
			regexp.MustCompile(`(?i)((?:proxy-)?authorization"?\s*[:=]\s*\[?"?)[^\s",\]]+(?:\s+[^\s",;\]]+)?`),
			regexp.MustCompile(`(?i)((?:x-[a-z-]*(?:token|api-?key|signature)|(?:set-)?cookie)"?\s*:\s*\[?"?)[^",\]\n]+`),
			regexp.MustCompile(`(\b(?:[Bb]earer|[Bb]asic|BEARER|BASIC)\s+)[A-Za-z0-9._~+/=-]*[0-9=._A-Z][A-Za-z0-9._~+/=-]{5,}`),
			// parameters of URLs and of forms: a whole word or the end of one says what it is
			regexp.MustCompile(`(?i)([?&;]` + secretName + `=)[^&;\s"'<>#]+`),
			regexp.MustCompile(`(?i)((?:\?|&|%3f|%26)` + secretName + `%3d)[^&;\s"'<>#]+?(%26|[&;\s"'<>#]|$)`),
			// members of JSON and YAML, and flags
			regexp.MustCompile(`(?i)(\\?"` + secretName + `\\?"\s*:\s*\\?")[^"\\]+`),
			regexp.MustCompile(`(?i)(--?` + secretFlag + `[= ]["']?)[^\s"']+`),
			// tokens that say themselves what they are: JWT, Kubernetes on AWS, GitHub, GitLab
			regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`),
			regexp.MustCompile(`()\b(?:k8s-aws-v1\.[A-Za-z0-9_-]+|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})`),
		},
		quoted:  regexp.MustCompile(`"[A-Za-z][A-Za-z0-9+.-]*://[^"]*"`),
		address: regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+`),
		escaped: regexp.MustCompile(`(?i)(%3a%2f%2f)[^\s"'&]*?%40`),
		bare:    regexp.MustCompile(`([^\s/"'@:<>(),;=]+:[^\s/"'@<>]*)@([A-Za-z0-9\[][A-Za-z0-9.\[\]:-]*)`),
		host:    regexp.MustCompile(`^(?:\[[0-9A-Za-z:.%]*\]|[^:@\[\]\s]*)(?::[0-9]*)?[\\"]*$`),
	}
})

const (
	secretName = `[a-z0-9._-]*(?:token|sig|signature|secret|passwd|password|passphrase|pwd|credential|credentials|api-?_?key|access-?_?key|private-?_?key|auth|authorization|jwt|code)`
	secretFlag = `(?:[a-z-]*-)?(?:token|password|passphrase|secret|api-key)`
)

// WithoutSecrets takes out of a text what may be a credential: user and password in
// URLs, values of queries, headers and members whose name says so, and tokens of known
// forms. It errs on the side of taking out too much.
func WithoutSecrets(text string) string {
	f := compiled()
	if strings.ContainsRune(text, '@') || strings.Contains(text, "%40") {
		text = f.quoted.ReplaceAllStringFunc(text, withoutUser)
		text = f.address.ReplaceAllStringFunc(text, withoutUser)
		text = f.escaped.ReplaceAllString(text, "${1}"+hidden+"%40")
		text = f.bare.ReplaceAllStringFunc(text, withoutBareUser)
	}
	for _, form := range f.credentials {
		text = form.ReplaceAllString(text, "${1}"+hidden+"${2}")
	}
	return text
}

// withoutUser takes the user out of a URL. A password may have an unescaped slash or @
// in it: whatever is before the last @ goes, unless that is plainly of the path.
func withoutUser(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	if compiled().host.MatchString(authority) {
		return url
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return url
	}
	return scheme + "://" + hidden + rest[at:]
}

// withoutBareUser leaves an image's name with tag and digest alone.
func withoutBareUser(text string) string {
	_, host, _ := strings.Cut(text, "@")
	for _, digest := range []string{"sha256:", "sha384:", "sha512:"} {
		if strings.HasPrefix(host, digest) {
			return text
		}
	}
	return hidden + "@" + host
}
