package settings

import (
	"errors"
	"fmt"
	"path"
	"syscall"
)

// Files says which files of the configuration cannot be read: open tries one. The errors
// are in MaxScale's two lines each.
func (c *Config) Files(open func(file string) error) (problems []string) {
	for _, s := range append([]Section{c.Global}, c.Objects...) {
		for _, key := range s.keys() {
			v := s.Values[key]
			if v.parameter.kind != "path" || v.Text == "" {
				continue
			}
			if !path.IsAbs(v.Text) {
				problems = append(problems, fmt.Sprintf("lab stand-in: '%s' of '%s': a path that is not absolute is not imitated", key, s.Name))
				continue
			}
			if err := open(v.Text); err != nil {
				problems = append(problems,
					fmt.Sprintf("(%s); Bad path parameter '%s' (absolute path '%s'): %s", s.Name, v.Text, v.Text, number(err)),
					fmt.Sprintf("(%s); %s: Invalid path (does not exist, required permissions are not granted, or cannot be created): %s", s.Name, key, v.Text))
			}
		}
	}
	return problems
}

// number is an error of the system in MaxScale's words.
func number(err error) string {
	var errno syscall.Errno
	switch {
	case !errors.As(err, &errno):
		return err.Error()
	case errno == syscall.ENOENT:
		return "2, No such file or directory"
	case errno == syscall.EACCES:
		return "13, Permission denied"
	}
	return fmt.Sprintf("%d, %s", int(errno), errno.Error())
}
