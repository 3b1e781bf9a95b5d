package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Help is what --help says of each command, by its path below the program. The program
// itself has the empty path. The zero Help says nothing.
type Help map[string]*section

// section is what the page says of one command, in cobra's terms.
type section struct {
	use, short    string
	long, example strings.Builder
}

// ReadHelp reads a page in Markdown. It begins with "# PROGRAM"; every other command has a
// heading "## PATH ARGUMENTS". Below a heading stands what the command is for, in one line;
// then perhaps more, in which what is to stay as it is laid out is fenced as text; then
// perhaps examples, fenced as sh. Backticks are for readers of the page only. A line
// {{NAME}} stands for the text that fill has under that name.
func ReadHelp(page string, fill map[string]string) (Help, error) {
	r := helpReader{help: Help{}, fill: fill}
	number := 0
	for line := range strings.Lines(page) {
		number++
		if err := r.read(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, fmt.Errorf("the help's line %d: %w", number, err)
		}
	}
	if err := r.close(); err != nil || r.at == nil {
		return nil, fmt.Errorf("the help's end: %w", cmp.Or(err, errors.New("got no heading")))
	}
	return r.help, nil
}

// helpReader reads a page line by line.
type helpReader struct {
	help Help
	fill map[string]string
	// at is the section that is read; nil before the first.
	at *section
	// fence is the kind of the fence that is open, or empty.
	fence string
	// apart is whether an empty line follows the first of the section, and ended whether
	// its examples do, after which nothing stands.
	apart, ended bool
}

func (r *helpReader) read(line string) error {
	fence, isFence := strings.CutPrefix(line, "```")
	switch {
	case isFence:
		return r.turn(fence)
	case r.fence == "sh":
		r.at.example.WriteString(indented(line))
		return nil
	case r.fence == "" && strings.HasPrefix(line, "#"):
		return r.begin(line)
	case line == "" && r.at == nil:
		return nil
	case r.at == nil || line != "" && r.ended:
		return fmt.Errorf("got %.40q, want a heading", line)
	}
	return r.say(line)
}

// begin opens the section of a heading.
func (r *helpReader) begin(heading string) error {
	if err := r.close(); err != nil {
		return err
	}
	first := r.at == nil
	name, ok := strings.CutPrefix(heading, "## ")
	if first {
		name, ok = strings.CutPrefix(heading, "# ")
	}
	path, arguments := commandPath(name)
	if !ok || path == "" || first && arguments != "" {
		return fmt.Errorf("got %.40q, want # and the program, and then ## and a command", heading)
	}
	r.at, r.apart, r.ended = &section{use: path[strings.LastIndex(path, " ")+1:] + arguments}, false, false
	if first {
		r.at.use, path = strings.ReplaceAll(path, " ", "-"), ""
	}
	if _, twice := r.help[path]; twice {
		return fmt.Errorf("got a second section of %q, want one", path)
	}
	r.help[path] = r.at
	return nil
}

// commandPath cuts the names of commands, words of small letters, from their arguments.
func commandPath(heading string) (path, arguments string) {
	words := strings.Split(heading, " ")
	n := 0
	for n < len(words) && words[n] != "" && strings.Trim(words[n], "abcdefghijklmnopqrstuvwxyz") == "" {
		n++
	}
	path = strings.Join(words[:n], " ")
	return path, heading[len(path):]
}

// turn opens or ends a fence.
func (r *helpReader) turn(kind string) error {
	switch {
	case !r.apart || r.ended:
		return fmt.Errorf("got a fence, want it after the first line of a section and an empty one, and before the examples")
	case r.fence != "" && kind != "":
		return fmt.Errorf("got a fence of %.40q in another, want the end of that", kind)
	case r.fence == "" && kind != "text" && kind != "sh":
		return fmt.Errorf("got a fence of %.40q, want text or sh", kind)
	}
	r.fence, r.ended = kind, r.fence == "sh"
	return nil
}

// indented is how a line of the examples stands in the help.
func indented(line string) string {
	if line == "" {
		return "\n"
	}
	return "  " + line + "\n"
}

// say adds a line to what is said of a command.
func (r *helpReader) say(line string) error {
	if strings.HasPrefix(line, "{{") {
		text, ok := r.fill[strings.Trim(line, "{}")]
		if !ok || !strings.HasSuffix(line, "}}") {
			return fmt.Errorf("got %.40q, want {{, the name of a text that is known, and }}", line)
		}
		line = strings.TrimRight(text, "\n")
	} else if r.fence == "" {
		line = strings.ReplaceAll(line, "`", "")
	}
	switch {
	case r.at.short == "":
		r.at.short = line
	case !r.apart && line != "":
		return fmt.Errorf("got %.40q, want an empty line after the first", line)
	case !r.apart:
		r.apart = true
	case line != "" || r.at.long.Len() > 0:
		r.at.long.WriteString(line + "\n")
	}
	return nil
}

// close ends the section that is read.
func (r *helpReader) close() error {
	switch {
	case r.fence != "":
		return fmt.Errorf("got a fence of %s that is open, want its end", r.fence)
	case r.at != nil && r.at.short == "":
		return fmt.Errorf("got no text under the heading of %q, want a line", r.at.use)
	}
	return nil
}

// Command returns the command of a section, which does nothing yet. One of which nothing
// is said has its name only.
func (h Help) Command(path string) *cobra.Command {
	s, ok := h[path]
	if !ok {
		return &cobra.Command{Use: path[strings.LastIndex(path, " ")+1:]}
	}
	return &cobra.Command{Use: s.use, Short: s.short, Long: strings.TrimRight(s.long.String(), "\n"), Example: strings.TrimRight(s.example.String(), "\n")}
}
