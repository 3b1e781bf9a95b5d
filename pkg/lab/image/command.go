package image

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// NewCommand returns "image": it writes one image archive. The archive appears
// under its name only when it is whole.
func NewCommand() *cobra.Command {
	var image Image
	var out string
	var files, links []string
	command := &cobra.Command{
		Use:   "image --name NAME --out FILE [--layer TAR]… [--file PATH=SOURCE]… [--link PATH=TARGET]…",
		Short: "Write a container image archive",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			for _, pair := range files {
				at, source, err := splitPair("--file", pair)
				if err != nil {
					return err
				}
				image.Files = append(image.Files, File{Path: at, Source: source})
			}
			for _, pair := range links {
				at, target, err := splitPair("--link", pair)
				if err != nil {
					return err
				}
				image.Links = append(image.Links, Link{Path: at, Target: target})
			}
			digest, err := writeFile(out, image)
			if err != nil {
				return fmt.Errorf("writing image %s: %w", image.Name, err)
			}
			fmt.Fprintln(command.OutOrStdout(), digest)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&image.Name, "name", "", "the image's name with its tag")
	flags.StringVar(&out, "out", "", "the archive to write")
	flags.StringArrayVar(&image.Layers, "layer", nil, "an uncompressed tar of files; may be repeated, lowest first")
	flags.StringArrayVar(&files, "file", nil, "PATH=SOURCE, an executable file to add; may be repeated")
	flags.StringArrayVar(&links, "link", nil, "PATH=TARGET, a symbolic link to add; may be repeated")
	flags.StringArrayVar(&image.Entrypoint, "entrypoint", nil, "one word of the entrypoint; may be repeated")
	flags.StringVar(&image.User, "user", "", "the uid[:gid] that the image runs as")
	for _, name := range []string{"name", "out"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not defined just above
		}
	}
	return command
}

func splitPair(flag, pair string) (left, right string, err error) {
	left, right, found := strings.Cut(pair, "=")
	if !found || left == "" || right == "" {
		return "", "", fmt.Errorf("%s %q: want PATH=VALUE", flag, pair)
	}
	return left, right, nil
}

func writeFile(name string, image Image) (digest string, err error) {
	part := name + ".part"
	file, err := os.Create(part)
	if err != nil {
		return "", err
	}
	digest, err = Write(file, image)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(part))
	}
	return digest, os.Rename(part, name)
}
