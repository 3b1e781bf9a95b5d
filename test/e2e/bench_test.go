//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// architectures are what is installed for each, behind the name of the release.
func architectures(b *testing.B) map[string][]string {
	return map[string][]string{"single": nil, "replicated": {"--architecture", "replicated", "--values", filepath.Join(absolute(b, lab), "values-scalable.yaml")}}
}

// gone removes a release with its volumes.
func gone(b *testing.B, name string) {
	run(b, "helm", "uninstall", name, "--wait")
	run(b, "kubectl", "delete", "pvc", "-l", "app.kubernetes.io/instance="+name, "--wait=false")
}

// From nothing to proven databases, on a running lab with warm caches.
func BenchmarkInstallToVerified(b *testing.B) {
	for architecture, more := range architectures(b) {
		b.Run(architecture, func(b *testing.B) {
			for n := range b.N {
				name := fmt.Sprintf("bench-%.1s%d-%d", architecture, b.N, n) // a session knows its volume: a new one under the old name is refused
				installed(b, name, more...)
				b.StopTimer()
				gone(b, name)
				b.StartTimer()
			}
		})
	}
}

// A verification against a pod that does nothing but start MariaDB's client, in one run:
// what a verification takes that no pod does. MB is what our program needs in memory.
func BenchmarkVerify(b *testing.B) {
	for architecture, more := range architectures(b) {
		installed(b, "bench-"+architecture, more...)
		defer gone(b, "bench-"+architecture) // a cleanup has no context any more
	}
	for _, c := range []struct {
		name string
		run  []string
	}{
		{"pod", []string{"bash", "-c", "kubectl run pod-$RANDOM$RANDOM --restart=Never --image=lab.local/mariadb:10.11 --image-pull-policy=IfNotPresent --attach --rm --quiet --command -- mariadb --version"}},
		{"verify-single", confidb("verify", "bench-single", "--accept-simulated")},
		{"verify-replicated", confidb("verify", "bench-replicated", "--accept-simulated")},
	} {
		b.Run(c.name, func(b *testing.B) {
			var memory int64
			for range b.N {
				program := command(b, b.Context(), c.run...)
				if out, err := program.CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				memory = max(memory, program.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
			}
			b.ReportMetric(float64(memory)/1024, "MB")
		})
	}
}

func benchmarkProgram(b *testing.B, program string, arguments ...string) {
	for range b.N {
		if out, err := exec.Command(program, arguments...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}

// The start of our program against kubectl's, in one run.
func BenchmarkStart(b *testing.B) {
	b.Run("kubectl-version-client", func(b *testing.B) { benchmarkProgram(b, lab+"/bin/kubectl", "version", "--client") })
	b.Run("kubectl-confidb-version", func(b *testing.B) { benchmarkProgram(b, "../../bin/kubectl-confidb", "version") })
	b.Run("kubectl-confidb-help", func(b *testing.B) { benchmarkProgram(b, "../../bin/kubectl-confidb", "--help") })
}

// The lab from nothing, with warm caches.
func BenchmarkLabUp(b *testing.B) {
	for range b.N {
		b.StopTimer()
		benchmarkOnce(b, "../../scripts/lab-down")
		b.StartTimer()
		benchmarkOnce(b, "../../scripts/lab-up")
	}
}

func benchmarkOnce(b *testing.B, program string) {
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}
