package las_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
)

func TestLAS(t *testing.T) {
	authority, err := sgxmint.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	platform, err := las.OpenPlatform(folder, authority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	again, err := las.OpenPlatform(folder, authority, time.Now())
	if err != nil || again.QEID != platform.QEID {
		t.Fatalf("after a restart the platform is another one (%v)", err)
	}
	other, err := sgxmint.NewPlatform(authority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	here, there := serve(t, platform), serve(t, other)
	identity := enclave.Identity{MRENCLAVE: sgx.Measurement{1}, MRSIGNER: sgx.Measurement{2}, ISVProdID: 3, ISVSVN: 4}

	t.Run("quote", func(t *testing.T) {
		raw, err := here.Quote(t.Context(), identity, [64]byte{9})
		if err != nil {
			t.Fatal(err)
		}
		files, err := authority.CollateralFiles(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		collateral, err := sgx.CollateralFromFiles(files)
		if err != nil {
			t.Fatal(err)
		}
		roots, err := sgx.RootFromPEM(authority.RootPEM())
		if err != nil {
			t.Fatal(err)
		}
		r, err := sgx.Verify(raw, collateral.For(raw), sgx.Options{Time: time.Now(), Roots: roots})
		if err != nil {
			t.Fatal(err)
		}
		got := r.Quote.Report
		if got.MRENCLAVE != identity.MRENCLAVE || got.ReportData != [64]byte{9} || got.Debug() || r.Quote.QEID != platform.QEID {
			t.Errorf("the quote says %+v of platform %x", got, r.Quote.QEID)
		}
	})
	t.Run("sealing keys", func(t *testing.T) {
		key := func(c las.Client, i enclave.Identity) [32]byte {
			t.Helper()
			k, err := c.SealKey(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		mine := key(here, identity)
		if key(here, identity) != mine {
			t.Error("the same enclave gets another key")
		}
		if key(there, identity) == mine {
			t.Error("another platform gives the same key")
		}
		if key(here, enclave.Identity{MRENCLAVE: sgx.Measurement{2}}) == mine {
			t.Error("another enclave gets the same key")
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		for _, line := range []string{"nonsense\n", "{\"operation\":\"open\"}\n", "{\"operation\":\"quote\",\"reportData\":\"AA==\"}\n"} {
			connection, err := net.Dial("tcp", here.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			connection.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := connection.Write([]byte(line)); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 1000)
			n, err := connection.Read(answer)
			if err != nil || !strings.Contains(string(answer[:n]), `"error"`) {
				t.Errorf("%q: got %q, %v", line, answer[:n], err)
			}
		}
	})
}

func serve(t *testing.T, platform *sgxmint.Platform) las.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- las.NewServer(platform).Serve(t.Context(), listener) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return las.NewClient(listener.Addr().String())
}

func TestWording(t *testing.T) {
	qeID := [16]byte{0xee, 0xe9}
	for generation, form := range map[las.Generation]string{6: `public key\s+([0-9A-Fa-f]{64})\b`, 7: `Intel QE ID:\s*([0-9A-Fa-f]{32})\b`} {
		line := generation.Wording(qeID, time.Unix(0, 0))
		found := regexp.MustCompile(form).FindStringSubmatch(line)
		if found == nil {
			t.Errorf("log line %q", line)
			continue
		}
		if id := generation.PlatformID(qeID); !strings.HasSuffix(id, found[1]) {
			t.Errorf("SCONE %d: the log says %s, sessions say %s", generation, found[1], id)
		}
	}
	if las.SCONEKey(qeID) == las.SCONEKey([16]byte{}) {
		t.Error("two platforms have one key")
	}
}
