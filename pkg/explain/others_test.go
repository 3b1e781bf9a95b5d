package explain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/explain"
)

// others are lines as other programs write them, with the page that each must bring up
// first.
func others() map[string]string {
	return map[string]string{
		// Intel's quoting, verification and network libraries, in every way of writing a number
		"[get_platform_quote_cert_data ../qe_logic.cpp:378] Error returned from the p_sgx_get_quote_config API. 0xe019": "dcap-pccs-unreachable",
		"Error: sgx_qe_get_quote_size() returned 0x0000e00e":                                                            "dcap-platform-library",
		"sgx_qe_get_quote failed: 57361":                                                                                "dcap-no-platform-certificate",
		"quote3_error_t=E047":                                                                                           "dcap-no-platform-certificate",
		"tdx/sgx verify: ret=0xE034":                                                                                    "dcap-collateral-missing",
		"Error: App: sgx_qv_verify_quote failed: 0xe02c":                                                                "tcb-info-expired",
		"Warning: App: Verification completed with Non-terminal result: a008":                                           "ConfigurationAndSWHardeningNeeded",
		"Error: App: Verification completed with Terminal result: a005":                                                 "Revoked",
		"quote verification result 40963":                                                                               "OutOfDateConfigurationNeeded",
		"40967":                                                                                                         "SWHardeningNeeded",
		"a003":                                                                                                          "OutOfDateConfigurationNeeded",
		"SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED":                                                                          "tdx-result",
		"[QCNL] Encountered CURL error: (28) Timeout was reached":                                                       "dcap-pccs-unreachable",
		"[QPL] Failed to get quote config. Error code is 0xb006":                                                        "dcap-pccs-unreachable",
		"[QPL] Failed to get quote config. Error code is 0xb012":                                                        "dcap-no-platform-certificate",
		"dlopen: libdcap_quoteprov.so.1: cannot open shared object file":                                                "dcap-platform-library",
		"SGX_QL_SOMETHING_NEW":                                                                                          "intel-result",
		"sgx result 0xe0fe":                                                                                             "intel-result",
		// the SDK
		"sgx_create_enclave returned 0x2006":                        "sgx-device",
		"Error: enclave could not be created, SGX_ERROR_OUT_OF_EPC": "sgx-epc",
		"AESM error 0x4004":                                         "sgx-privilege",
		"sgx status 0x200F":                                         "sgx-enclave-load",
		"SGX_ERROR_MC_USED_UP":                                      "epid-ended",
		// Open Enclave
		":OE_TCB_LEVEL_INVALID [/source/common/sgx/tcbinfo.c:_determine_platform_tcb_info_tcb_level:214]": "OutOfDate",
		"oe_verify_evidence failed (oe_result_t=OE_VERIFY_CRL_EXPIRED)":                                   "root-crl-expired",
		"oe_get_evidence: OE_QUOTE_PROVIDER_LOAD_ERROR":                                                   "dcap-platform-library",
		"OE_INVALID_PARAMETER":           "oe-result",
		"(oe_result_t=OE_SOMETHING_NEW)": "oe-result",
		// a PCCS, and what we say of one
		"HTTP error code: 461":                               "pccs-platform-unknown",
		"PCCS responded with status code 462":                "pccs-certificates-unavailable",
		"pccs: The integrity of the data can't be verified.": "pccs-integrity",
		"[QCNL] HTTP status code: 404":                       "pccs-no-data",
		"fetching the QE identity: https://pccs:8081/sgx/certification/v4/qe/identity answered 461 (the PCCS does not know the platform), want 200": "pccs-platform-unknown",
		"fetching the TCB info of 00606a000000: https://x/sgx/certification/v4/tcb answered 404 Not Found, want 200":                                "pccs-no-data",
		"fetching the QE identity: https://x answered 503 Service Unavailable, want 200":                                                            "pccs-failed",
		"Unable to retrieve the collateral from the Intel SGX PCS.":                                                                                 "pccs-failed",
		// SCONE's connections
		"Caused by: Could not connect to LAS at 10.0.0.7:18766":           "scone-las",
		"Caused by: invalid peer certificate: NotValidForName":            "scone-peer-certificate",
		"[SCONE|FATAL] src/enclave.c:1: Could not create enclave builder": "sgx-device",
		"[SCONE|FATAL] Cannot sign production enclave: no key provided":   "scone-no-signing-key",
		"CAS answered with HTTP status 403; peer says: no":                "scone-http-403",
		// clients of MariaDB
		"ERROR 2026 (HY000): TLS/SSL error: unable to get local issuer certificate":                                      "mysql-self-signed",
		"ERROR 2026 (HY000): TLS/SSL error: Validation of SSL server certificate failed":                                 "mysql-server-name",
		"ERROR 2026 (HY000): TLS/SSL error: certificate has expired":                                                     "mysql-certificate-time",
		"ERROR 2026 (HY000): TLS/SSL error: tlsv13 alert certificate required":                                           "mysql-client-certificate",
		"ERROR 2026 (HY000): SSL connection error: error:0A000086:SSL routines::certificate verify failed":               "mysql-self-signed",
		"ERROR 2026 (HY000): SSL connection error: error:0A00010B:SSL routines::wrong version number":                    "mysql-tls-version",
		"ERROR 2026 (HY000): TLS/SSL error: something":                                                                   "mysql-tls-error",
		"ERROR 2026 (HY000): TLS/SSL error: SSL is required, but the server does not support it":                         "mysql-no-tls",
		"ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.1' (using password: YES)":                              "mysql-access-denied",
		"ERROR 2002 (HY000): Can't connect to server on 'db' (115)":                                                      "mysql-unreachable",
		"ERROR 4151 (HY000): x; Connections using insecure transport are prohibited while --require_secure_transport=ON": "mysql-no-tls",
		// registries, Helm and Go
		`Failed to pull image "r/x:1": failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized`: "registry-refused",
		`Failed to pull image "r/x:1": rpc error: code = NotFound desc = failed to pull and unpack image "r/x:1": not found`:  "registry-not-found",
		"Error response from daemon: manifest unknown": "registry-not-found",
		`looks like "https://x" is not a valid chart repository or cannot be reached: failed to fetch https://x/index.yaml : 403 Forbidden`: "chart-repository",
		`Get "https://k8s:6443/version": tls: failed to verify certificate: x509: certificate signed by unknown authority`:                  "tls-certificate",
	}
}

func TestLookupFindsMessagesOfOthers(t *testing.T) {
	for text, want := range others() {
		pages, err := explain.Lookup(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if pages[0].Code != want {
			t.Errorf("%q: got %s, want %s", text, pages[0].Code, want)
		}
	}
}

// Only a CAS's answers are explained as those of a CAS.
func TestAnswersOfOthersAreNotACAS(t *testing.T) {
	for _, text := range []string{
		"rpc error: code = Unknown desc = failed to authorize: 403 Forbidden", "failed to pull image: unexpected status code 404 Not Found",
		"403 Forbidden", "404 Not Found", "503 Service Unavailable", "GET /sgx/certification/v4/tcb 404 Not Found", "helm: failed to fetch x: 404 Not Found",
		`Error from server (NotFound): pods "x" not found`, "HTTP status 500 from the registry",
	} {
		pages, _ := explain.Lookup(text)
		if slices.ContainsFunc(pages, func(p explain.Page) bool { return strings.HasPrefix(p.Code, "scone-") }) {
			t.Errorf("%q: got %s", text, pages[0].Code)
		}
	}
}

// Every number of Intel's quote libraries has a page of its own, however it is written.
func TestNumbersOfIntel(t *testing.T) {
	without := []int{0xe036, 0xe04a, 0xe04b, 0xe04c, 0xe04d, 0xe04e, 0xe04f, 0xe054, 0xe055, 0xe056, 0xe057, 0xe058, 0xe059, 0xe05a, 0xe05b, 0xe05c, 0xe05d, 0xe05e, 0xe05f}
	for _, family := range [][2]int{{0xe001, 0xe067}, {0xa001, 0xa00a}, {0xb001, 0xb013}} {
		for number := family[0]; number <= family[1]; number++ {
			if slices.Contains(without, number) {
				continue // Intel does not use them
			}
			code := ""
			for _, text := range []string{"0x%x", "0x%X", "%x", "0x%08x", "%d", "failed: 0x%x.", "ret=%x", "result (%d)", "sgx_x failed, error 0x%04X: no"} {
				text = fmt.Sprintf(text, number)
				pages, err := explain.Lookup(text)
				switch {
				case err != nil || pages[0].Code == "intel-result":
					t.Errorf("%s: got %v and %v", text, pages, err)
				case code != "" && pages[0].Code != code:
					t.Errorf("%s: got %s, want %s", text, pages[0].Code, code)
				default:
					code = pages[0].Code
				}
			}
		}
	}
	for _, text := range []string{"e019", "listening on port 57361", "took 40962 ms", "commit a002", "0x2006"} {
		pages, err := explain.Lookup(text)
		if alone := text == "e019" || text == "0x2006"; alone != (err == nil) {
			t.Errorf("%q: got %v and %v", text, pages, err)
		}
	}
}

// The innermost cause that has a page comes first, and what is around it follows.
func TestInnermostCause(t *testing.T) {
	for want, text := range map[string]string{
		"scone-peer-certificate": "Error: Creating session failed\n\nCaused by: Failed to establish an encrypted channel to CAS\n  Caused by: invalid certificate: UnknownIssuer\n",
		"scone-mrenclave":        "[SCONE|FATAL] Could not initialize enclave state: Attestation failed\n  Caused by: The program enclave is not trustworthy\n    Caused by: None of the required enclave properties are met by the enclave\n      Error 1 of 2: Unexpected enclave measurement (MRENCLAVE, 0e62)\n",
		"scone-cas-channel":      "Caused by: Failed to establish an encrypted channel to CAS\n  Caused by: something that nobody knows (os error 99)\n",
		"scone-http-404":         "Error: reading\n\nCaused by:\n    0: Creating session failed\n    1: CAS at 'https://x' returned HTTP error status code 404 Not Found\n\nStack backtrace:\n",
		"dcap-quote-provider":    "first\nError returned from the p_sgx_get_quote_config\n API.\n",
	} {
		pages, err := explain.Lookup(text)
		if err != nil || pages[0].Code != want {
			t.Errorf("%q: got %+v and %v, want %s", text, pages, err, want)
		}
	}
}
