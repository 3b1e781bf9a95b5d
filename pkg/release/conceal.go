package release

import (
	"net/url"
	"os"
	"slices"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/repo"

	"github.com/confidb/confidb/pkg/check"
)

// concealedError is an error of Helm's without the credentials that were known.
type concealedError struct {
	text string
	err  error
}

func (e *concealedError) Error() string { return e.text }

// Unwrap returns the error as it was: for its type, not for its text.
func (e *concealedError) Unwrap() error { return e.err }

// conceal takes out of an error's text what may be a credential, by its form or because
// it is a part of one of these addresses. Nil stays nil.
func conceal(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	return &concealedError{concealText(err.Error(), secrets), err}
}

func concealText(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return check.WithoutSecrets(text)
}

// secrets are what may be a credential in the addresses that a chart is fetched from,
// and in what Helm keeps of repositories. Longer ones come first.
func (h *Helm) secrets(spec Spec) []string {
	all := append(secretsOf(spec.Repo), secretsOf(spec.Chart)...)
	if info, err := os.Stat(h.settings.RepositoryConfig); err == nil && info.Mode().IsRegular() {
		all = append(all, secretsOfRepositories(h.settings.RepositoryConfig)...)
	}
	return longestFirst(all)
}

// secretsOfRepositories are those of Helm's repositories.yaml; none if it cannot be read,
// for Helm cannot read it then either.
func secretsOfRepositories(path string) (all []string) {
	file, err := repo.LoadFile(path)
	if err != nil {
		return nil
	}
	for _, entry := range file.Repositories {
		if entry != nil {
			all = append(append(all, entry.Password), secretsOf(entry.URL)...)
		}
	}
	return all
}

// secretsOf are the parts of an address that may be a credential: the password or, alone,
// the user; values of the query; parts of the path that look made by chance.
func secretsOf(address string) (all []string) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return unreadable(address)
	case u.Host == "": // a local file, whose folders hide nothing
		return nil
	}
	password, ok := u.User.Password()
	if !ok {
		password = u.User.Username()
	}
	if _, raw, ok := strings.Cut(u.User.String(), ":"); ok {
		all = append(all, raw)
	}
	all = append(all, password)
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		if _, value, ok := strings.Cut(pair, "="); ok {
			plain, _ := url.QueryUnescape(value) // empty if it is none
			all = append(all, value, plain)
		}
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if byChance(part) {
			all = append(all, part, url.PathEscape(part))
		}
	}
	return all
}

// unreadable are the user and the query of an address that is none.
func unreadable(address string) (all []string) {
	_, rest, _ := strings.Cut(address, "://")
	if at := strings.LastIndexByte(rest, '@'); at > 0 {
		all = append(all, rest[:at])
	}
	if _, query, ok := strings.Cut(rest, "?"); ok {
		all = append(all, query)
	}
	return all
}

// chance is how long a part of a path is, at least, that is a token, in characters.
const chance = 12

// byChance says whether a part of a path has a run of letters and digits as in a token.
func byChance(part string) bool {
	for run := range strings.FieldsFuncSeq(part, func(r rune) bool { return strings.ContainsRune("-_.~", r) }) {
		if len(run) >= chance && strings.ContainsAny(run, "0123456789") && strings.Trim(run, "0123456789") != "" {
			return true
		}
	}
	return false
}

// short is how long a value is, at most, that is no secret: it would be taken out of
// words as well.
const short = 3

func longestFirst(all []string) []string {
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) <= short })
	sort.Slice(all, func(i, j int) bool { return len(all[i]) > len(all[j]) })
	return slices.Compact(all)
}
