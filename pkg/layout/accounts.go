package layout

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Statements that make or open accounts, and their parts.
var (
	accountForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?is)^\s*(?:CREATE\s+(?:OR\s+REPLACE\s+)?USER(?:\s+IF\s+NOT\s+EXISTS)?|GRANT\s.*?\sTO)\s+('[^']*'(?:@'[^']*')?|[^\s,;]+)(.*)$`)
	})
	tlsRequired = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\bREQUIRE\s+(SSL|X509|SUBJECT|ISSUER|CIPHER)\b`)
	})
	tlsOpened = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?is)^\s*ALTER\s+USER\s+(?:IF\s+EXISTS\s+)?('[^']*'(?:@'[^']*')?|\S+).*\bREQUIRE\s+NONE\b`)
	})
	accountLocked   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\bACCOUNT\s+LOCK\b`) })
	executedComment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)/\*M?![0-9]*(.*?)\*/`) })
)

// OpenAccounts are the accounts that statements make, or open, without a
// requirement of TLS.
func OpenAccounts(sql string) []string {
	var accounts []string
	for _, statement := range Statements(sql) {
		if match := tlsOpened().FindStringSubmatch(statement); match != nil {
			accounts = append(accounts, match[1])
		}
		match := accountForm().FindStringSubmatch(statement)
		if match == nil {
			continue
		}
		clauses := withoutTexts(match[2])
		if tlsRequired().MatchString(clauses) || accountLocked().MatchString(clauses) {
			continue
		}
		isGrant := strings.HasPrefix(strings.ToUpper(strings.TrimSpace(statement)), "GRANT")
		if !isGrant || strings.Contains(strings.ToUpper(clauses), "IDENTIFIED") {
			accounts = append(accounts, match[1])
		}
	}
	return accounts
}

// withoutTexts empties what is quoted: a password may hold any word.
func withoutTexts(sql string) string {
	return regexp.MustCompile("'(?:[^'\\\\]|\\\\.)*'|\"(?:[^\"\\\\]|\\\\.)*\"").ReplaceAllString(sql, "''")
}

// Statements splits SQL at semicolons that are not quoted, and leaves comments out but
// for those that MariaDB executes.
func Statements(sql string) []string {
	sql = executedComment().ReplaceAllString(sql, " $1 ")
	var all []string
	var one strings.Builder
	var quote byte
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case quote != 0 && c == '\\' && quote != '`' && i+1 < len(sql):
			one.WriteByte(c)
			i++
			c = sql[i]
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '#' || strings.HasPrefix(sql[i:], "-- ") || strings.HasPrefix(sql[i:], "--\n"):
			if end := strings.IndexByte(sql[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(sql)
			}
			c = '\n'
		case strings.HasPrefix(sql[i:], "/*"):
			if end := strings.Index(sql[i+2:], "*/"); end >= 0 {
				i += end + 3
			} else {
				i = len(sql)
			}
			c = ' '
		case c == ';':
			all = append(all, one.String())
			one.Reset()
			continue
		}
		one.WriteByte(c)
	}
	return append(all, one.String())
}

// Guards reports whether the databases that statements of an image can reach are all
// behind the network shield with client authentication. Where the session has no
// database that listens, they are those of the other sessions; where no session has
// one, the services of the image itself count, whatever they run.
func (in *Set) Guards(image string) bool {
	x := in.indexed()
	servers, guarded := in.Listeners(), &x.guarded
	if len(servers) == 0 || x.told[image] {
		servers, guarded = in.AllListeners(), &in.Group.guarded
	}
	if len(servers) > 0 {
		if *guarded == nil {
			all := !slices.ContainsFunc(servers, func(d *Server) bool { return !d.EveryPort(Guarded, Refused) })
			*guarded = &all
		}
		return **guarded
	}
	users := x.users[image]
	return len(users) > 0 && !slices.ContainsFunc(users, func(i int) bool { return !NewShield(in.Services[i]).Guards() })
}
