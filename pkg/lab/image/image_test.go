package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteRefuses(t *testing.T) {
	present := writeSource(t, "x")
	folder := t.TempDir()
	for name, test := range map[string]struct {
		image Image
		want  string
	}{
		"no tag":           {Image{Name: "lab.local/x", Layers: []string{present}}, "want a name with a tag"},
		"a port is no tag": {Image{Name: "lab.local:5000/x", Layers: []string{present}}, "want a name with a tag"},
		"nothing in it":    {Image{Name: "lab.local/x:1"}, "want at least one layer"},
		"relative path":    {Image{Name: "lab.local/x:1", Files: []File{{"bin/x", present}}}, "want an absolute, clean path"},
		"path that climbs": {Image{Name: "lab.local/x:1", Links: []Link{{"/../x", "y"}}}, "want an absolute, clean path"},
		"missing source":   {Image{Name: "lab.local/x:1", Files: []File{{"/x", present + ".no"}}}, "no such file"},
		"missing layer":    {Image{Name: "lab.local/x:1", Layers: []string{present + ".no"}}, "no such file"},
		"folder as source": {Image{Name: "lab.local/x:1", Files: []File{{"/x", folder}}}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Write(io.Discard, test.image)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Write: got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestWriteNoticesAChangedSource(t *testing.T) {
	source := writeSource(t, "short")
	change := writerFunc(func(p []byte) (int, error) {
		return len(p), os.WriteFile(source, []byte("much longer than before"), 0o600)
	})
	_, err := Write(change, Image{Name: "lab.local/x:1", Files: []File{{"/x", source}}})
	if err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("Write: got error %v, want one that says so", err)
	}
}

func TestWriteIsAValidLayout(t *testing.T) {
	rootfs := writeSource(t, string(archiveOf(t, "etc/hostname", "lab")))
	image := Image{
		Name:       "lab.local/x:7",
		Layers:     []string{rootfs},
		Files:      []File{{"/usr/bin/x", writeSource(t, "program")}},
		Links:      []Link{{"/bin/y", "/usr/bin/x"}},
		Entrypoint: []string{"/usr/bin/x", "run"},
		User:       "101:101",
	}
	var first, second bytes.Buffer
	digest, err := Write(&first, image)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Write(&second, image); err != nil || again != digest || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("second Write: got digest %s, error %v and equal bytes %v, want %s and the same bytes", again, err, bytes.Equal(first.Bytes(), second.Bytes()), digest)
	}

	files := readArchive(t, first.Bytes())
	for name, text := range files {
		if want, isBlob := strings.CutPrefix(name, "blobs/sha256/"); isBlob && hexDigest(text) != want {
			t.Errorf("%s: content has digest %s", name, hexDigest(text))
		}
	}
	var index, manifest struct {
		Manifests []descriptor
		Config    descriptor
		Layers    []descriptor
	}
	decode(t, files["index.json"], &index)
	if got := index.Manifests[0]; got.Digest != digest || got.Annotations["io.containerd.image.name"] != image.Name || got.Annotations["org.opencontainers.image.ref.name"] != "7" {
		t.Errorf("index: got %+v, want digest %s of %s", got, digest, image.Name)
	}
	decode(t, blob(t, files, index.Manifests[0]), &manifest)
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	decode(t, blob(t, files, manifest.Config), &config)
	if diff := cmp.Diff(image.Entrypoint, config.Config.Entrypoint); diff != "" || config.Config.User != image.User {
		t.Errorf("config: user %q, entrypoint (-want +got):\n%s", config.Config.User, diff)
	}
	var layers []string
	content := map[string][]byte{}
	for _, l := range manifest.Layers {
		layers = append(layers, l.Digest)
		for name, text := range readArchive(t, blob(t, files, l)) {
			content[name] = text
		}
	}
	if diff := cmp.Diff(layers, config.Rootfs.DiffIDs); diff != "" {
		t.Errorf("diff_ids differ from the layers (-want +got):\n%s", diff)
	}
	want := map[string][]byte{"etc/hostname": []byte("lab"), "usr/bin/x": []byte("program"), "bin/y": []byte("-> /usr/bin/x")}
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("content of the image (-want +got):\n%s", diff)
	}
}

func TestCommandLeavesNothingHalfDone(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	run := func(args ...string) error {
		command := NewCommand()
		command.SetArgs(append([]string{"--name", "lab.local/x:1", "--out", out}, args...))
		command.SetOut(io.Discard)
		command.SetErr(io.Discard)
		return command.Execute()
	}
	if err := run("--file", "/x"); err == nil || !strings.Contains(err.Error(), "want PATH=VALUE") {
		t.Errorf("got error %v, want one about PATH=VALUE", err)
	}
	if err := run("--file", "/x="+out+".no"); err == nil {
		t.Error("missing source: got no error")
	}
	if left, _ := filepath.Glob(out + "*"); left != nil {
		t.Errorf("after a failure: got files %v, want none", left)
	}
	if err := run("--file", "/x="+writeSource(t, "x")); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(out + "*"); !cmp.Equal(left, []string{out}) {
		t.Errorf("after success: got files %v, want only %s", left, out)
	}
}

type writerFunc func([]byte) (int, error)

func (write writerFunc) Write(p []byte) (int, error) { return write(p) }

func writeSource(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func archiveOf(t *testing.T, name, text string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	if err := writeBlob(archive, name, int64(len(text)), bytesLayer([]byte(text))); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func readArchive(t *testing.T, text []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	archive := tar.NewReader(bytes.NewReader(text))
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeSymlink {
			content = []byte("-> " + header.Linkname)
		}
		files[header.Name] = content
	}
}

func blob(t *testing.T, files map[string][]byte, d descriptor) []byte {
	t.Helper()
	text, found := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
	if !found || int64(len(text)) != d.Size {
		t.Fatalf("blob %s: found %v with %d bytes, want %d", d.Digest, found, len(text), d.Size)
	}
	return text
}

func hexDigest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
