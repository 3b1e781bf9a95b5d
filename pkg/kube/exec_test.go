package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

const (
	succeeded = `{"status":"Success"}`
	endedWith = `{"status":"Failure","reason":"NonZeroExitCode","message":"x","details":{"causes":[{"reason":"ExitCode","message":"%d"}]}}`
)

// streamer is an API server that streams: answer gets the streams by their type.
func streamer(t *testing.T, wanted int, answer func(r *http.Request, streams map[string]httpstream.Stream)) *Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"}); err != nil {
			t.Error(err)
			return
		}
		opened := make(chan httpstream.Stream, 8)
		connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error { opened <- s; return nil })
		if connection == nil {
			t.Error("no connection")
			return
		}
		defer connection.Close()
		streams := map[string]httpstream.Stream{}
		for range wanted {
			select {
			case s := <-opened:
				streams[s.Headers().Get(corev1.StreamType)] = s
			case <-connection.CloseChan():
				return
			}
		}
		answer(r, streams)
	}))
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{config: config, clientset: clientset, namespace: namespace}
}

func TestExecConnectsTheStreams(t *testing.T) {
	for status, want := range map[string]string{
		succeeded: "", fmt.Sprintf(endedWith, 7): "the client ended with exit code 7",
		`{"status":"Failure","message":"no such container"}`: "running the client in pod shop/p: no such container",
	} {
		var asked string
		c := streamer(t, 4, func(r *http.Request, streams map[string]httpstream.Stream) {
			asked = r.URL.String()
			typed, _ := io.ReadAll(streams["stdin"])
			fmt.Fprintf(streams["stdout"], "got %s", typed)
			fmt.Fprint(streams["stderr"], "mind")
			fmt.Fprint(streams["error"], status)
			for _, s := range streams {
				s.Close()
			}
		})
		var out, errOut strings.Builder
		err := c.exec(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}, []string{"scone", "mariadb"},
			remotecommand.StreamOptions{Stdin: strings.NewReader("select 1"), Stdout: &out, Stderr: &errOut})
		if out.String() != "got select 1" || errOut.String() != "mind" || (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: got %q, %q, %v", status, out.String(), errOut.String(), err)
		}
		if want := "/api/v1/namespaces/shop/pods/p/exec?command=scone&command=mariadb&container=client&stderr=true&stdin=true&stdout=true"; asked != want {
			t.Errorf("got %s, want %s", asked, want)
		}
	}
}

// An interrupted client says that it was interrupted, and nothing that a library says.
func TestExecEndsWhenItIsBrokenOff(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	c := streamer(t, 4, func(_ *http.Request, streams map[string]httpstream.Stream) {
		interrupt()
		io.Copy(io.Discard, streams["stdin"]) // until the connection is gone
	})
	silence, typing := io.Pipe()
	defer typing.Close()
	err := c.exec(ctx, &corev1.Pod{}, []string{"mariadb"}, remotecommand.StreamOptions{Stdin: silence, Stdout: io.Discard, Stderr: io.Discard})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The waiting container's input stays open as long as the client is wanted, and nothing
// is ever typed into it.
func TestHoldKeepsTheContainer(t *testing.T) {
	ctx, done := context.WithCancel(t.Context())
	typed := make(chan string, 1)
	c := streamer(t, 2, func(r *http.Request, streams map[string]httpstream.Stream) {
		time.AfterFunc(10*time.Millisecond, done)
		text, _ := io.ReadAll(streams["stdin"])
		typed <- r.URL.Path + " " + string(text)
	})
	c.hold(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}, func(err error) { t.Error(err) })
	if got := <-typed; got != "/api/v1/namespaces/shop/pods/p/attach " || ctx.Err() == nil {
		t.Errorf("got %q, and it ended %v", got, ctx.Err())
	}
}

// Without the hold there would be no end for a client whose user is gone.
func TestHoldFails(t *testing.T) {
	c := streamer(t, 2, func(_ *http.Request, streams map[string]httpstream.Stream) {
		fmt.Fprint(streams["error"], `{"status":"Failure","message":"forbidden"}`)
		for _, s := range streams {
			s.Close()
		}
	})
	var failed error
	c.hold(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}, func(err error) { failed = err })
	if failed == nil || failed.Error() != "attaching to pod shop/p: forbidden" {
		t.Errorf("got %v", failed)
	}
}
