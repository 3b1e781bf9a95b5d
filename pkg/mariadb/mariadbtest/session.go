package mariadbtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// quick are settings that only make tests quick. They are as much part of the session as
// the others.
const quick = `          innodb_buffer_pool_size = 16M
          innodb_log_file_size = 8M
          innodb_flush_log_at_trx_commit = 0
          innodb_flush_method = nosync
`

// configured is what the project's own session of a database gives the service db, with
// paths below a directory, and what it promises.
type configured struct {
	initial, command []string // make the database, and run it
	files            map[string]string
	promise          *promise.Promise
}

// configure renders the project's sessions as an installation does, with the paths of the
// template below directory and another port, and fills in the secrets as CAS does.
func configure(directory, port string, secrets map[string]string, a topology.Applications) (*configured, error) {
	template, err := topology.Template("database")
	if err != nil {
		return nil, err
	}
	const last = "          binlog_checksum = CRC32\n"
	if !strings.Contains(string(template), last) {
		return nil, fmt.Errorf("the template of the database lacks %q", last)
	}
	moved := strings.NewReplacer("/var/lib/mysql-tmp", directory+"/tmp", "/var/lib/mysql", directory, "/run/mysqld", directory, "/run/confidb", directory+"/enclave",
		"bind-address = 0.0.0.0", "bind-address = 127.0.0.1", "port = 3306", "port = "+port, "sync_binlog = 1", "sync_binlog = 0", last, last+quick).Replace(string(template))
	release, err := prepare(map[string]string{"database": moved}, a)
	if err != nil {
		return nil, err
	}
	database, err := session.Parse("database", []byte(release.Session(topology.Database).Text))
	if err != nil {
		return nil, err
	}
	made := &configured{files: map[string]string{}}
	for _, s := range database.Services {
		switch s.Name {
		case "init":
			made.initial = s.Command
		case topology.ServiceDatabase:
			made.command = s.Command
		default:
			continue
		}
		if err := made.inject(database, s.ImageName, secrets); err != nil {
			return nil, err
		}
	}
	made.promise, err = promised(release)
	return made, err
}

func prepare(templates map[string]string, a topology.Applications) (*topology.Release, error) {
	platform, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		return nil, err
	}
	bootstrap, err := BootstrapSQL()
	if err != nil {
		return nil, err
	}
	return topology.Prepare(topology.Plan{Name: "db", Namespace: "default", CASAddress: "cas", Platforms: []attest.PlatformID{platform}, BootstrapSQL: bootstrap,
		Enclaves:  map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
		Templates: templates, Applications: a}, nil)
}

// inject fills in the files of an image.
func (c *configured) inject(s *session.Session, image string, secrets map[string]string) error {
	for _, i := range s.Images {
		if i.Name != image {
			continue
		}
		for _, f := range i.InjectionFiles {
			content, err := session.Expand(*f.Content, func(p session.Placeholder) (string, error) { return secret(secrets, p.Text) })
			if err != nil {
				return err
			}
			c.files[f.Path] = content
		}
	}
	return nil
}

// secret is one of those that are given, or a random one, which stays the same.
func secret(secrets map[string]string, placeholder string) (string, error) {
	if _, known := secrets[placeholder]; !known {
		if !strings.HasSuffix(placeholder, ":hex$$") {
			return "", fmt.Errorf("no value for %s", placeholder)
		}
		random := make([]byte, 32)
		rand.Read(random)
		secrets[placeholder] = hex.EncodeToString(random)
	}
	return secrets[placeholder], nil
}

// promised is what the session of the attested client says.
func promised(release *topology.Release) (*promise.Promise, error) {
	client, err := session.Parse("client", []byte(release.Session(topology.Client).Text))
	if err != nil {
		return nil, err
	}
	for _, i := range client.Images {
		for _, f := range i.InjectionFiles {
			if f.Path == "/run/confidb/promise.json" {
				return promise.Parse([]byte(*f.Content))
			}
		}
	}
	return nil, fmt.Errorf("the session of the client holds no promise")
}

// BootstrapSQL is what MariaDB's own installer feeds to mariadbd, without help texts and
// without the database test. It comes with Debian's package mariadb-server-core.
func BootstrapSQL() (string, error) {
	sql := "SET @auth_root_socket=NULL;\n"
	for _, name := range []string{"mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data", "maria_add_gis_sp_bootstrap", "mysql_sys_schema"} {
		text, err := os.ReadFile("/usr/share/mysql/" + name + ".sql")
		if err != nil {
			return "", err
		}
		sql += string(text) + "\n"
	}
	return sql, nil
}
