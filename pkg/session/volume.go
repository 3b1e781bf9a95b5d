package session

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

func (d *decoder) volume(v *Volume) document.Field {
	return d.Object(document.Fields{
		"name":     document.Required(d.Matching(&v.Name, name, nameWords)),
		"files":    document.OneOf(d.Decoder, &v.Files, "encrypted", "authenticated-only"),
		"fspf_key": d.Hidden(&v.FSPFKey, either(hex64, reference), hex64Words+" or "+referenceWords),
		"fspf_tag": d.Matching(&v.FSPFTag, hex32, hex32Words),
		"export":   d.volumeExports(&v.Exports),
		"import":   document.Pointer(&v.Import, d.volumeImport),
	}, func(n *document.Node, path string) {
		if v.Import != nil && (v.FSPFKey != "" || v.FSPFTag != "") {
			d.Fail(n, path, "got both import and fspf_key or fspf_tag, want one of them")
		}
	})
}

func (d *decoder) volumeImport(i *VolumeImport) document.Field {
	known := d.peerFields(&i.Peer)
	known["volume"] = document.Required(d.Matching(&i.Volume, name, nameWords))
	known["session"] = document.Required(known["session"])
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  d.url(&i.Peer, map[string]*string{"volume": &i.Volume}, "volume"),
		document.Mapping: d.Object(known, d.checkPeer(&i.Peer)),
	})
}

func (d *decoder) volumeExports(into *[]VolumeExport) document.Field {
	var one VolumeExport
	single := func(*document.Node, string) { *into = append(*into, one) }
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  document.Then(d.url(&one.Peer, nil, ""), single),
		document.Mapping: document.Then(d.volumeExportObject(&one), single),
		document.List:    document.Each(d.Decoder, into, d.volumeExport),
	})
}

func (d *decoder) volumeExport(e *VolumeExport) document.Field {
	return d.ByKind(map[document.Kind]document.Field{document.Scalar: d.url(&e.Peer, nil, ""), document.Mapping: d.volumeExportObject(e)})
}

// volumeExportObject names the receiver in the object itself or below to.
func (d *decoder) volumeExportObject(e *VolumeExport) document.Field {
	known := d.exportFields(&e.Export)
	known["to"] = d.export(&e.Export)
	known["update_policy"] = d.updatePolicy(&e.UpdatePolicy)
	known["volume_alias"] = d.Matching(&e.VolumeAlias, name, nameWords)
	return d.Object(known, func(n *document.Node, path string) {
		_, session := document.Lookup(n, "session")
		_, namespace := document.Lookup(n, "namespace")
		if _, to := document.Lookup(n, "to"); to != nil && (session != nil || namespace != nil) {
			d.Fail(n, path, "got to beside session or namespace, want one of them")
			return
		}
		d.checkExport(&e.Export)(n, path)
	})
}

func (d *decoder) updatePolicy(into *string) document.Field {
	return document.OneOf(d.Decoder, into, "rollback_protected", "ephemeral", "no_rollback_protection")
}

func (d *decoder) image(i *Image) document.Field {
	return d.Object(document.Fields{
		"name":            document.Required(d.Matching(&i.Name, name, nameWords)),
		"volumes":         document.Each(d.Decoder, &i.Volumes, d.imageVolume),
		"injection_files": document.Each(d.Decoder, &i.InjectionFiles, d.injectionFile),
		"provide_secrets": d.since(11, d.provided(&i.ProvideSecrets)),
	}, nil)
}

// provided keeps an empty list apart from none: it provides nothing.
func (d *decoder) provided(into *[]string) document.Field {
	return document.Then(d.Texts(into), func(*document.Node, string) {
		if *into == nil {
			*into = []string{}
		}
	})
}

func (d *decoder) imageVolume(v *ImageVolume) document.Field {
	return d.Object(document.Fields{
		"name":          document.Required(d.Matching(&v.Name, name, nameWords)),
		"path":          document.Required(d.path(&v.Path)),
		"update_policy": d.updatePolicy(&v.UpdatePolicy),
	}, nil)
}

func (d *decoder) path(into *string) document.Field {
	return d.Matching(into, `^/`, "an absolute path")
}

// defaultPermission is what CAS gives a file without a permission of its own.
const defaultPermission fs.FileMode = 0o700

// injectionFile is an object, or the path of a file that is in the image already.
func (d *decoder) injectionFile(f *InjectionFile) document.Field {
	f.Permission = defaultPermission
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar: d.path(&f.Path),
		document.Mapping: d.Object(document.Fields{
			"path":       document.Required(d.path(&f.Path)),
			"content":    d.OptionalText(&f.Content),
			"permission": d.permission(&f.Permission),
		}, nil),
	})
}

func (d *decoder) permission(into *fs.FileMode) document.Field {
	read := func(n *document.Node, path string) {
		mode, err := strconv.ParseUint(strings.TrimPrefix(d.scalar(n, path), "0o"), 8, 9)
		if err != nil {
			d.Fail(n, path, "got %s, want an octal mode such as 0o400", document.KindOf(n))
			return
		}
		*into = fs.FileMode(mode)
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"type": []string{"string", "integer"}, "pattern": "^(0o)?[0-7]{1,4}$"}
	}}
}
