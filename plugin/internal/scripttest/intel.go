package scripttest

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
)

// quoted is the measurement in minted quotes: 01 and 31 zero bytes.
func quoted() sgx.Measurement { return sgx.Measurement{1} }

// mint writes quotes/NODE.bin for each node, collateral/ and root.pem. The QE ID of
// the first node is 11…11, of the second 22…22. Collateral is of 2026-11-01T12:00:00Z.
func (w *world) mint(arguments []string) error {
	flags := flag.NewFlagSet("mint", flag.ContinueOnError)
	status := flags.String("status", "UpToDate", "what Intel says of the machines")
	advisories := flags.String("advisories", "", "with commas")
	debug := flags.Bool("debug", false, "quote enclaves that can be debugged")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	w.authority.Status, w.authority.Advisories = sgx.TCBStatus(*status), nil
	if *advisories != "" {
		w.authority.Advisories = strings.Split(*advisories, ",")
	}
	body := sgx.ReportBody{MRENCLAVE: quoted(), MRSIGNER: sgx.Measurement{2}, Attributes: [16]byte{5}}
	if *debug {
		body.Attributes[0] = 7
	}
	for i, node := range flags.Args() {
		platform, err := sgxmint.NewPlatform(w.authority, w.began)
		if err != nil {
			return err
		}
		platform.QEID = [16]byte(slices.Repeat([]byte{byte(i+1) * 0x11}, 16))
		quote, err := platform.Quote(body)
		if err != nil {
			return err
		}
		if err := w.write("quotes", map[string][]byte{node + ".bin": quote}); err != nil {
			return err
		}
	}
	return w.collateral(mintTime())
}

// collateral writes collateral/ of a day, and root.pem.
func (w *world) collateral(day time.Time) error {
	files, err := w.signed(day)
	if err != nil {
		return err
	}
	return errors.Join(w.write("collateral", files), w.write("", map[string][]byte{"root.pem": w.authority.RootPEM()}))
}

// signed is collateral of a day with the chain of the PCK CA, which Intel's own
// sample data leaves to the quote.
func (w *world) signed(day time.Time) (map[string][]byte, error) {
	files, err := w.authority.CollateralFiles(day)
	if err == nil {
		files["pckSignChain.pem"] = slices.Concat(w.authority.PCKCA.PEM(), w.authority.RootPEM())
	}
	return files, err
}

// pcs serves minted collateral as Intel's PCS does, with a certificate that nobody knows.
type pcs struct {
	files map[string][]byte
	asked io.Writer
}

// servePCS starts the service at $PCS, or changes what it serves.
func (w *world) servePCS(arguments []string) error {
	flags := flag.NewFlagSet("pcs", flag.ContinueOnError)
	age := flags.Int("age", 0, "how many days ago the collateral was issued")
	evaluation := flags.Int("evaluation", 1, "number of Intel's evaluation")
	if err := flags.Parse(arguments); err != nil || flags.NArg() > 0 {
		return errors.Join(err, errors.New("usage: pcs [-age DAYS] [-evaluation NUMBER]"))
	}
	if w.pcs == nil {
		w.pcs = &pcs{asked: w.asked["pcs"]}
		server := httptest.NewUnstartedServer(w.pcs)
		server.Config.ErrorLog = stdlog.New(io.Discard, "", 0) // it complains of who does not trust it
		server.StartTLS()
		w.Defer(server.Close)
		w.Setenv("PCS", server.URL)
	}
	// an hour earlier, so that the days that are left are the same all the time
	files, err := w.signed(time.Now().AddDate(0, 0, -*age).Add(-time.Hour))
	if err != nil {
		return err
	}
	for name, member := range map[string]string{"tcbInfo.json": "tcbInfo", "qeIdentity.json": "enclaveIdentity"} {
		if files[name], err = w.evaluated(files[name], member, *evaluation); err != nil {
			return err
		}
	}
	w.pcs.files, w.live = files, true
	return w.write("", map[string][]byte{"root.pem": w.authority.RootPEM()})
}

// evaluated signs a document once more with another number.
func (w *world) evaluated(text []byte, member string, number int) ([]byte, error) {
	var document map[string]json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	one := regexp.MustCompile(`"tcbEvaluationDataNumber":\d+`)
	return w.authority.Sign(member, one.ReplaceAll(document[member], fmt.Appendf(nil, `"tcbEvaluationDataNumber":%d`, number)))
}

// ServeHTTP answers as version 4 of the PCS and the PCCS do.
func (p *pcs) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(p.asked, r.URL.RequestURI())
	chain := func(header, file string) { rw.Header().Set(header, url.PathEscape(string(p.files[file]))) }
	switch strings.TrimPrefix(r.URL.Path, "/sgx/certification/v4/") {
	case "tcb":
		chain("TCB-Info-Issuer-Chain", "tcbSignChain.pem")
		rw.Write(p.files["tcbInfo.json"])
	case "qe/identity":
		chain("SGX-Enclave-Identity-Issuer-Chain", "tcbSignChain.pem")
		rw.Write(p.files["qeIdentity.json"])
	case "pckcrl":
		chain("SGX-PCK-CRL-Issuer-Chain", "pckSignChain.pem")
		rw.Write(p.files["pckCaCrl.der"])
	case "rootcacrl":
		fmt.Fprint(rw, hex.EncodeToString(p.files["rootCaCrl.der"]))
	default:
		http.NotFound(rw, r)
	}
}
