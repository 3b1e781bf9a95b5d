package mariadb

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

func TestEmptyAnswersNeverPass(t *testing.T) {
	seen := &Observation{answers: ask.Collect(t.Context(), emptyServer{}, &promise.Promise{})}
	for _, question := range settingQuestions() {
		if got := question.decide(seen); got.outcome != 0 {
			t.Errorf("%s: got %v, want skip", question.id, got)
		}
	}
}

// TestWhatAServerSaysIsCleaned plants a text that moves the cursor in an answer.
func TestWhatAServerSaysIsCleaned(t *testing.T) {
	const hostile = "/tmp/\x1b[2Jnothing\nto see"
	seen := &Observation{login: mysql.Attempt{Err: errors.New(hostile)}, answers: ask.Unanswered(errors.New(hostile))}
	seen.answers.Variables = ask.Answer[map[string]variable]{Value: map[string]variable{"local_infile": {Value: hostile, Global: true}}}
	for _, finding := range seen.Report() {
		if text := finding.Got + finding.Want + finding.Reason; strings.ContainsAny(text, "\x1b\n") {
			t.Errorf("%s: got %q", finding.ID, text)
		}
	}
	if finding, _ := seen.Report().Find("file-01"); !strings.Contains(finding.Got, "local_infile=/tmp/nothing to see") {
		t.Errorf("got %+v, want what the server said", finding)
	}
}

type emptyServer struct{}

// Query answers every statement with no row.
func (emptyServer) Query(_ context.Context, statement string) (*mysql.Rows, error) {
	if strings.HasPrefix(statement, "SELECT COUNT(*)") {
		return &mysql.Rows{Columns: []string{"n"}, Values: [][]mysql.Value{{{Text: "0"}}}}, nil
	}
	rows := &mysql.Rows{Columns: []string{"Log_name"}}
	if n := strings.Count(statement, ","); n > 0 {
		rows.Columns = make([]string, n+1)
	}
	return rows, nil
}
