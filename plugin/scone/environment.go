package scone

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// environment is what Helm passes to a plugin. It is the RESTClientGetter of every
// verb; making it builds no client.
type environment struct {
	*genericclioptions.ConfigFlags
	lookupEnv func(string) (string, bool)
}

func newEnvironment(lookupEnv func(string) (string, bool)) *environment {
	e := &environment{genericclioptions.NewConfigFlags(true), lookupEnv}
	for name, field := range map[string]*string{
		"HELM_NAMESPACE":           e.Namespace,
		"HELM_KUBECONTEXT":         e.Context,
		"HELM_KUBEAPISERVER":       e.APIServer,
		"HELM_KUBETOKEN":           e.BearerToken,
		"HELM_KUBECAFILE":          e.CAFile,
		"HELM_KUBEASUSER":          e.Impersonate,
		"HELM_KUBETLS_SERVER_NAME": e.TLSServerName,
	} {
		*field = e.get(name)
	}
	if groups := strings.Trim(e.get("HELM_KUBEASGROUPS"), ", "); groups != "" {
		*e.ImpersonateGroup = strings.Split(groups, ",")
	}
	*e.Insecure = e.isTrue("HELM_KUBEINSECURE_SKIP_TLS_VERIFY")
	return e
}

func (e *environment) get(name string) string {
	value, _ := e.lookupEnv(name)
	return value
}

// isTrue reads a variable as Helm does: what is no truth value is false.
func (e *environment) isTrue(name string) bool {
	value, err := strconv.ParseBool(e.get(name))
	return err == nil && value
}

// settings are where Helm's files are. Without Helm, as when the program is started
// directly, they are where Helm keeps them by default. Helm's own messages go to
// messages when it was given --debug.
func (e *environment) settings(messages io.Writer) (release.Settings, error) {
	if kind := e.get("HELM_DRIVER"); kind != "" && kind != "secret" && kind != "secrets" {
		return release.Settings{}, cli.NewUsageError("$HELM_DRIVER: got %q, want secret: releases are kept in Secrets only", kind)
	}
	configuration, _ := os.UserConfigDir() // without home directory there is no repository
	cache, _ := os.UserCacheDir()
	s := release.Places(configuration, cache)
	for name, place := range map[string]*string{
		"HELM_REPOSITORY_CONFIG": &s.RepositoryConfig,
		"HELM_REPOSITORY_CACHE":  &s.RepositoryCache,
		"HELM_REGISTRY_CONFIG":   &s.RegistryConfig,
	} {
		if value := e.get(name); value != "" {
			*place = filepath.Clean(value)
		}
	}
	if e.isTrue("HELM_DEBUG") {
		s.Log = func(format string, v ...any) { fmt.Fprintf(messages, "[debug] "+format+"\n", v...) }
	}
	var err error
	s.MaxHistory, err = e.maxHistory()
	return s, err
}

// maxHistory is how many revisions Helm keeps. Its 0 is no limit, that of
// release.Settings is Helm's default.
func (e *environment) maxHistory() (int, error) {
	text := e.get("HELM_MAX_HISTORY")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, cli.NewUsageError("$HELM_MAX_HISTORY: got %q, want a number of revisions, 0 for all", text)
	}
	if n == 0 {
		return math.MaxInt, nil
	}
	return n, nil
}
