package session

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/confidb/confidb/pkg/document"
)

// Placeholder is $$SCONE::secret:encoding$$ in a text.
type Placeholder struct {
	// Text is the whole placeholder.
	Text string
	// Secret is the name of the secret.
	Secret string
	// Encodings are applied in order, such as privatekey, pem. The older forms
	// .hex, .key, .crt and .chain keep their dot.
	Encodings []string
	// EscapeJSON means that the value is put into a JSON string.
	EscapeJSON bool
}

// placeholder is the form of one at the beginning of a text.
var placeholder = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\$\$SCONE::([A-Za-z0-9_\-~]{1,128})((?:\.(?:hex|key|crt|chain))?)((?::[a-z0-9\-]+)*)((?:\|escape\(json\))?)(?::?\$\$)`)
})

// Placeholders finds the placeholders of a text. One that begins and does not end
// properly is an error.
func Placeholders(text string) ([]Placeholder, error) {
	if !strings.Contains(text, "$$SCONE:") {
		return nil, nil // most texts: the expression is dear
	}
	var found []Placeholder
	for {
		at := strings.Index(text, "$$SCONE:")
		if at < 0 {
			return found, nil
		}
		text = text[at:]
		match := placeholder().FindStringSubmatch(text)
		if match == nil {
			return nil, fmt.Errorf("got %q, want $$SCONE::secret$$ or $$SCONE::secret:encoding$$", document.Clip(text[:min(len(text), 60)]))
		}
		p := Placeholder{Text: match[0], Secret: match[1], EscapeJSON: match[4] != ""}
		if match[2] != "" {
			p.Encodings = append(p.Encodings, match[2])
		}
		if match[3] != "" {
			p.Encodings = append(p.Encodings, strings.Split(match[3][1:], ":")...)
		}
		found = append(found, p)
		text = text[len(match[0]):]
	}
}

// Expand replaces each placeholder of a text by what value returns for it.
func Expand(text string, value func(Placeholder) (string, error)) (string, error) {
	placeholders, err := Placeholders(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range placeholders {
		before, after, _ := strings.Cut(text, p.Text)
		v, err := value(p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.Text, err)
		}
		out.WriteString(before)
		out.WriteString(v)
		text = after
	}
	out.WriteString(text)
	return out.String(), nil
}
