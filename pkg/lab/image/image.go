// Package image writes container images as OCI image layout archives, the form
// that "ctr image import" and "kind load image-archive" take.
//
// It knows tar, digests and the three JSON documents of the OCI image
// specification. It does not know registries, compression or containers.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
)

// Media types of the OCI image specification 1.1.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// File is one file added on top of an image's layers. It gets mode 0755 and
// belongs to root.
type File struct {
	Path   string // absolute, inside the image
	Source string // on this machine
}

// Link is one symbolic link added on top of an image's layers.
type Link struct {
	Path   string // absolute, inside the image
	Target string // what the link says
}

// Image says what an image holds. The zero value is not valid: Name and at
// least one layer, file or link are needed.
type Image struct {
	Name       string   // with its tag, such as lab.local/pause:1
	Layers     []string // uncompressed tar files, lowest first
	Files      []File   // make one more layer, together with Links
	Links      []Link
	Entrypoint []string
	User       string // uid[:gid]; empty is root
}

// layer is content that can be written any number of times, always the same.
type layer struct {
	write  func(io.Writer) error
	digest string
	size   int64
}

// writeSame writes the layer and fails when it is not what was measured.
func (l layer) writeSame(w io.Writer) error {
	hash := sha256.New()
	if err := l.write(io.MultiWriter(w, hash)); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != l.digest {
		return fmt.Errorf("a source has changed while it was read: got digest %s, want %s", got, l.digest)
	}
	return nil
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Write writes the image to w and returns the digest of its manifest. The same
// input gives the same bytes. It reads every source twice and fails when one
// changes in between.
func Write(w io.Writer, image Image) (string, error) {
	if err := image.validate(); err != nil {
		return "", err
	}
	layers, err := image.layers()
	if err != nil {
		return "", err
	}
	config, manifest, index, err := image.documents(layers)
	if err != nil {
		return "", err
	}
	archive := tar.NewWriter(w)
	for _, file := range []struct {
		name string
		text []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{blobPath(digestOf(manifest)), manifest},
		{blobPath(digestOf(config)), config},
	} {
		if err := writeBlob(archive, file.name, int64(len(file.text)), bytesLayer(file.text)); err != nil {
			return "", err
		}
	}
	written := map[string]bool{}
	for _, l := range layers {
		if written[l.digest] {
			continue
		}
		written[l.digest] = true
		if err := writeBlob(archive, blobPath(l.digest), l.size, l.writeSame); err != nil {
			return "", err
		}
	}
	if err := archive.Close(); err != nil {
		return "", fmt.Errorf("ending the archive: %w", err)
	}
	return digestOf(manifest), nil
}

func (image Image) validate() error {
	_, tag, found := strings.Cut(image.Name[strings.LastIndex(image.Name, "/")+1:], ":")
	if !found || tag == "" {
		return fmt.Errorf("image name %q: want a name with a tag, such as lab.local/pause:1", image.Name)
	}
	if len(image.Layers)+len(image.Files)+len(image.Links) == 0 {
		return fmt.Errorf("image %s: want at least one layer, file or link, got none", image.Name)
	}
	for _, file := range image.Files {
		if err := validPath(file.Path); err != nil {
			return err
		}
	}
	for _, link := range image.Links {
		if err := validPath(link.Path); err != nil {
			return err
		}
	}
	return nil
}

func validPath(name string) error {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
		return fmt.Errorf("path in the image %q: want an absolute, clean path of a file", name)
	}
	return nil
}

// layers measures every layer.
func (image Image) layers() ([]layer, error) {
	var writers []func(io.Writer) error
	for _, file := range image.Layers {
		writers = append(writers, func(w io.Writer) error { return copyFile(w, file) })
	}
	if len(image.Files)+len(image.Links) > 0 {
		writers = append(writers, image.writeTop)
	}
	var layers []layer
	for _, write := range writers {
		hash := sha256.New()
		var size counter
		if err := write(io.MultiWriter(hash, &size)); err != nil {
			return nil, err
		}
		layers = append(layers, layer{write: write, digest: "sha256:" + hex.EncodeToString(hash.Sum(nil)), size: int64(size)})
	}
	return layers, nil
}

// writeTop writes the layer of the added files and links.
func (image Image) writeTop(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, file := range image.Files {
		info, err := os.Stat(file.Source)
		if err != nil {
			return fmt.Errorf("adding %s: %w", file.Path, err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("adding %s: %s is not a regular file", file.Path, file.Source)
		}
		write := func(w io.Writer) error { return copyFile(w, file.Source) }
		header := &tar.Header{Typeflag: tar.TypeReg, Name: file.Path[1:], Mode: 0o755, Size: info.Size(), Format: tar.FormatPAX}
		if err := writeEntry(archive, header, write); err != nil {
			return err
		}
	}
	for _, link := range image.Links {
		header := &tar.Header{Typeflag: tar.TypeSymlink, Name: link.Path[1:], Linkname: link.Target, Mode: 0o777, Format: tar.FormatPAX}
		if err := writeEntry(archive, header, bytesLayer(nil)); err != nil {
			return err
		}
	}
	return archive.Close()
}

// documents returns the image's configuration, manifest and index.
func (image Image) documents(layers []layer) (config, manifest, index []byte, err error) {
	var diffs []string
	var descriptors []descriptor
	for _, l := range layers {
		diffs = append(diffs, l.digest) // not compressed: both digests are one
		descriptors = append(descriptors, descriptor{MediaType: layerType, Digest: l.digest, Size: l.size})
	}
	config, err = json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": image.Entrypoint,
			"User":       image.User,
			"Env":        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("writing the image's configuration: %w", err)
	}
	manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        descriptor{MediaType: configType, Digest: digestOf(config), Size: int64(len(config))},
		"layers":        descriptors,
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("writing the manifest: %w", err)
	}
	index, err = json.Marshal(map[string]any{
		"schemaVersion": 2,
		"manifests": []descriptor{{
			MediaType: manifestType,
			Digest:    digestOf(manifest),
			Size:      int64(len(manifest)),
			Platform:  map[string]string{"architecture": runtime.GOARCH, "os": "linux"},
			Annotations: map[string]string{
				"io.containerd.image.name":          image.Name,
				"org.opencontainers.image.ref.name": image.Name[strings.LastIndex(image.Name, ":")+1:],
			},
		}},
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("writing the index: %w", err)
	}
	return config, manifest, index, nil
}

func writeBlob(archive *tar.Writer, name string, size int64, write func(io.Writer) error) error {
	return writeEntry(archive, &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, Format: tar.FormatPAX}, write)
}

func writeEntry(archive *tar.Writer, header *tar.Header, write func(io.Writer) error) error {
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("writing %s: %w", header.Name, err)
	}
	if err := write(archive); err != nil {
		return fmt.Errorf("writing %s: %w", header.Name, err)
	}
	if err := archive.Flush(); err != nil { // fewer bytes than the header said
		return fmt.Errorf("writing %s: %w", header.Name, err)
	}
	return nil
}

func copyFile(w io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return errors.Join(err, file.Close())
}

func bytesLayer(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(text))
		return err
	}
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blobPath(digest string) string {
	return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:")
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
