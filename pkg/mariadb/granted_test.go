package mariadb

import (
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/confidb/confidb/pkg/mysql"
)

// An error of another moment is no refusal: a way that met one was not tried.
func TestGrantedIsNotRefusedByAnyError(t *testing.T) {
	for code, want := range map[uint16]check.Outcome{
		1054: check.Pass, 1141: check.Pass, 1142: check.Pass, 1143: check.Pass,
		1040: check.Skip, 1053: check.Skip, 1205: check.Skip, 1317: check.Skip, 1927: check.Skip, 2003: check.Skip,
	} {
		m := &maskingSeen{}
		m.granted.probes = []probeSeen{{err: &mysql.ServerError{Code: 1142}}, {err: &mysql.ServerError{Code: code}}}
		if got := decideGranted(m); got.outcome != want {
			t.Errorf("%d: got %+v, want %v", code, got, want)
		}
	}
}

// A way that is known to be open, and met such an error, is not said to be closed.
func TestAWayIsNotClosedByAnyError(t *testing.T) {
	for code, want := range map[uint16]check.Outcome{1141: check.Pass, 1205: check.Skip, 1927: check.Skip} {
		m := &maskingSeen{}
		m.masked.probes = []probeSeen{{Probe: masking.Probe{Promise: masking.Leaks}, err: &mysql.ServerError{Code: code}}}
		if got := decideWays(m); got.outcome != want {
			t.Errorf("%d: got %+v, want %v", code, got, want)
		}
	}
}
