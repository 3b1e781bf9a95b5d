package session

import (
	"io/fs"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) volume(v *Volume) field {
	return d.object(fields{
		"name":     required(d.matching(&v.Name, name, nameWords)),
		"files":    oneOf(d, &v.Files, "encrypted", "authenticated-only"),
		"fspf_key": d.hidden(&v.FSPFKey, either(hex64, reference), hex64Words+" or "+referenceWords),
		"fspf_tag": d.matching(&v.FSPFTag, hex32, hex32Words),
		"export":   d.volumeExports(&v.Exports),
		"import":   pointer(&v.Import, d.volumeImport),
	}, func(n *yaml.Node, path string) {
		if v.Import != nil && (v.FSPFKey != "" || v.FSPFTag != "") {
			d.fail(n, path, "got both import and fspf_key or fspf_tag, want one of them")
		}
	})
}

func (d *decoder) volumeImport(i *VolumeImport) field {
	known := d.peerFields(&i.Peer)
	known["volume"] = required(d.matching(&i.Volume, name, nameWords))
	known["session"] = required(known["session"])
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode:  d.url(&i.Peer, map[string]*string{"volume": &i.Volume}, "volume"),
		yaml.MappingNode: d.object(known, d.checkPeer(&i.Peer)),
	})
}

func (d *decoder) volumeExports(into *[]VolumeExport) field {
	var one VolumeExport
	single := func(*yaml.Node, string) { *into = append(*into, one) }
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode:   then(d.url(&one.Peer, nil, ""), single),
		yaml.MappingNode:  then(d.volumeExportObject(&one), single),
		yaml.SequenceNode: each(d, into, d.volumeExport),
	})
}

func (d *decoder) volumeExport(e *VolumeExport) field {
	return d.byKind(map[yaml.Kind]field{yaml.ScalarNode: d.url(&e.Peer, nil, ""), yaml.MappingNode: d.volumeExportObject(e)})
}

// volumeExportObject names the receiver in the object itself or below to.
func (d *decoder) volumeExportObject(e *VolumeExport) field {
	known := d.exportFields(&e.Export)
	known["to"] = d.export(&e.Export)
	known["update_policy"] = d.updatePolicy(&e.UpdatePolicy)
	known["volume_alias"] = d.matching(&e.VolumeAlias, name, nameWords)
	return d.object(known, func(n *yaml.Node, path string) {
		_, session := lookup(n, "session")
		_, namespace := lookup(n, "namespace")
		if _, to := lookup(n, "to"); to != nil && (session != nil || namespace != nil) {
			d.fail(n, path, "got to beside session or namespace, want one of them")
			return
		}
		d.checkExport(&e.Export)(n, path)
	})
}

func (d *decoder) updatePolicy(into *string) field {
	return oneOf(d, into, "rollback_protected", "ephemeral", "no_rollback_protection")
}

func (d *decoder) image(i *Image) field {
	return d.object(fields{
		"name":            required(d.matching(&i.Name, name, nameWords)),
		"volumes":         each(d, &i.Volumes, d.imageVolume),
		"injection_files": each(d, &i.InjectionFiles, d.injectionFile),
		"provide_secrets": since(11, d.provided(&i.ProvideSecrets)),
	}, nil)
}

// provided keeps an empty list apart from none: it provides nothing.
func (d *decoder) provided(into *[]string) field {
	return then(d.texts(into), func(*yaml.Node, string) {
		if *into == nil {
			*into = []string{}
		}
	})
}

func (d *decoder) imageVolume(v *ImageVolume) field {
	return d.object(fields{
		"name":          required(d.matching(&v.Name, name, nameWords)),
		"path":          required(d.path(&v.Path)),
		"update_policy": d.updatePolicy(&v.UpdatePolicy),
	}, nil)
}

func (d *decoder) path(into *string) field { return d.matching(into, `^/`, "an absolute path") }

// defaultPermission is what CAS gives a file without a permission of its own.
const defaultPermission fs.FileMode = 0o700

// injectionFile is an object, or the path of a file that is in the image already.
func (d *decoder) injectionFile(f *InjectionFile) field {
	f.Permission = defaultPermission
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode: d.path(&f.Path),
		yaml.MappingNode: d.object(fields{
			"path":       required(d.path(&f.Path)),
			"content":    d.optionalText(&f.Content),
			"permission": d.permission(&f.Permission),
		}, nil),
	})
}

func (d *decoder) permission(into *fs.FileMode) field {
	read := func(n *yaml.Node, path string) {
		mode, err := strconv.ParseUint(strings.TrimPrefix(d.scalar(n, path), "0o"), 8, 9)
		if err != nil {
			d.fail(n, path, "got %s, want an octal mode such as 0o400", kindOf(n))
			return
		}
		*into = fs.FileMode(mode)
	}
	return field{read: read, shape: fixed(shape{"type": []string{"string", "integer"}, "pattern": "^(0o)?[0-7]{1,4}$"})}
}
