package kube

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
)

const (
	freshNonce = "00112233445566778899aabbccddeeff"
	oldNonce   = "ffeeddccbbaa99887766554433221100"
)

// casObject is a CAS whose operator answered the old nonce.
func casObject() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "services.scone.cloud/v1beta1", "kind": "CAS",
		"metadata": map[string]any{"name": "cas", "namespace": namespace},
		"spec":     map[string]any{"nonce": oldNonce, "image": "cas:6"},
		"status":   map[string]any{"phase": "HEALTHY", "nonce": oldNonce, "dcapReport": "old report"},
	}}
}

// newResources holds CASes in place of an API server.
func newResources(t *testing.T, objects ...runtime.Object) (*dynamicfake.FakeDynamicClient, dynamic.ResourceInterface) {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{casResource(): "CASList"}
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)
	for _, o := range objects { // given to the constructor they would be "cases": it guesses the plural
		if err := client.Tracker().Create(casResource(), o, namespace); err != nil {
			t.Fatal(err)
		}
	}
	return client, client.Resource(casResource()).Namespace(namespace)
}

// operate runs an operator: once spec.nonce was written and somebody watches, it does
// what answer says. It ends with the test.
func operate(t *testing.T, client *dynamicfake.FakeDynamicClient, answer func(c *unstructured.Unstructured) error) {
	t.Helper()
	watched, ended := make(chan struct{}, 8), make(chan error, 1)
	client.PrependWatchReactor("cas", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(casResource(), action.GetNamespace())
		watched <- struct{}{}
		return true, w, err
	})
	go func() {
		select {
		case <-t.Context().Done():
			ended <- nil
		case <-watched:
			c, err := client.Tracker().Get(casResource(), namespace, "cas")
			if err == nil {
				err = answer(c.(*unstructured.Unstructured).DeepCopy())
			}
			ended <- err
		}
	}()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Errorf("the operator: %v", err)
		}
	})
}

// answering writes a status that answers with a nonce; of is spec.nonce.
func answering(client *dynamicfake.FakeDynamicClient, nonce func(of string) string, report string) func(*unstructured.Unstructured) error {
	return func(c *unstructured.Unstructured) error {
		asked, _, err := unstructured.NestedString(c.Object, "spec", "nonce")
		if err != nil {
			return err
		}
		c.Object["status"] = map[string]any{"phase": "Provisioned", "nonce": nonce(asked), "dcapReport": report}
		return client.Tracker().Update(casResource(), c, namespace)
	}
}

func TestCASReport(t *testing.T) {
	for name, nonce := range map[string]func(string) string{
		"as it was asked":    func(of string) string { return of },
		"in capital letters": strings.ToUpper,
	} {
		t.Run(name, func(t *testing.T) {
			client, resources := newResources(t, casObject())
			operate(t, client, answering(client, nonce, `{"new":"report"}`))
			report, err := casReport(limited(t), resources, "cas", freshNonce)
			if err != nil || string(report) != `{"new":"report"}` {
				t.Errorf("got %q, %v", report, err)
			}
			wantOnePatch(t, client)
			if image := specOf(t, client)["image"]; image != "cas:6" {
				t.Errorf("spec.image was changed: got %v", image)
			}
		})
	}
}

func specOf(t *testing.T, client *dynamicfake.FakeDynamicClient) map[string]any {
	t.Helper()
	c, err := client.Tracker().Get(casResource(), namespace, "cas")
	if err != nil {
		t.Fatal(err)
	}
	spec, _, _ := unstructured.NestedMap(c.(*unstructured.Unstructured).Object, "spec")
	return spec
}

// wantOnePatch wants the cluster to have been changed once, in spec.nonce alone.
func wantOnePatch(t *testing.T, client *dynamicfake.FakeDynamicClient) {
	t.Helper()
	patches := 0
	for _, action := range client.Actions() {
		switch action := action.(type) {
		case clienttesting.PatchAction:
			patches++
			var got map[string]map[string]string
			err := json.Unmarshal(action.GetPatch(), &got)
			if err != nil || len(got) != 1 || len(got["spec"]) != 1 || got["spec"]["nonce"] != freshNonce {
				t.Errorf("patched %s (%v), want spec.nonce alone", action.GetPatch(), err)
			}
			if action.GetPatchType() != types.MergePatchType || action.GetName() != "cas" || action.GetNamespace() != namespace || action.GetSubresource() != "" {
				t.Errorf("got the patch %+v", action)
			}
		default:
			if verb := action.GetVerb(); verb != "list" && verb != "watch" && verb != "get" {
				t.Errorf("%s: want one patch and nothing else that changes something", verb)
			}
		}
	}
	if patches != 1 {
		t.Errorf("patched %d times, want once", patches)
	}
}

// briefly is a time limit for what never comes: long enough to see what is there.
func briefly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestCASReportIsNotAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		nonce  func(of string) string
		report string
		want   string
	}{
		"with an old nonce":     {func(string) string { return oldNonce }, "replayed report", `is in phase "Provisioned"`},
		"with no nonce":         {func(string) string { return "" }, "a report", `is in phase "Provisioned"`},
		"with a part of it":     {func(of string) string { return of[:30] }, "a report", `is in phase "Provisioned"`},
		"with no report at all": {func(of string) string { return of }, "", `is in phase "Provisioned"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, resources := newResources(t, casObject())
			operate(t, client, answering(client, c.nonce, c.report))
			report, err := casReport(briefly(t), resources, "cas", freshNonce)
			wantOperatorError(t, report, err, c.want)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the time limit", err)
			}
			wantOnePatch(t, client)
		})
	}
}

// An operator that does not run leaves the old answer, which is not taken.
func TestCASReportWithoutAnOperator(t *testing.T) {
	t.Parallel()
	for state, c := range map[string]*unstructured.Unstructured{`is in phase "HEALTHY"`: casObject(), "has no phase": withoutStatus()} {
		client, resources := newResources(t, c)
		report, err := casReport(briefly(t), resources, "cas", freshNonce)
		wantOperatorError(t, report, err, state)
		wantOnePatch(t, client)
	}
}

func withoutStatus() *unstructured.Unstructured {
	c := casObject()
	unstructured.RemoveNestedField(c.Object, "status")
	return c
}

func wantOperatorError(t *testing.T, report []byte, err error, want string) {
	t.Helper()
	var operator *OperatorError
	if report != nil || !errors.As(err, &operator) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "resource cas") {
		t.Fatalf("got %q, %v, want an OperatorError with %q", report, err, want)
	}
	if operator.Hint() == "" {
		t.Error("the error has no hint")
	}
}

func TestCASReportOfADeletedCAS(t *testing.T) {
	client, resources := newResources(t, casObject())
	operate(t, client, func(*unstructured.Unstructured) error {
		return client.Tracker().Delete(casResource(), namespace, "cas")
	})
	report, err := casReport(limited(t), resources, "cas", freshNonce)
	wantOperatorError(t, report, err, "deleted by somebody else")
	wantOnePatch(t, client)
}

func TestCASReportOfACanceledRun(t *testing.T) {
	client, resources := newResources(t, casObject())
	ctx, cancel := context.WithCancel(limited(t))
	operate(t, client, func(*unstructured.Unstructured) error { cancel(); return nil })
	report, err := casReport(ctx, resources, "cas", freshNonce)
	wantOperatorError(t, report, err, "context canceled")
}

// Without the patch there is nothing to wait for.
func TestCASReportMayNotAsk(t *testing.T) {
	resource := schema.GroupResource{Group: casResource().Group, Resource: casResource().Resource}
	for name, c := range map[string]struct {
		objects []runtime.Object
		refusal error
		is      func(error) bool
	}{
		"forbidden":    {[]runtime.Object{casObject()}, apierrors.NewForbidden(resource, "cas", errors.New("no such right")), apierrors.IsForbidden},
		"not found":    {nil, nil, apierrors.IsNotFound},
		"no such kind": {nil, &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound, Code: 404, Message: "the server could not find the requested resource"}}, apierrors.IsNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			client, resources := newResources(t, c.objects...)
			if c.refusal != nil {
				client.PrependReactor("patch", "cas", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, c.refusal })
			}
			report, err := casReport(limited(t), resources, "cas", freshNonce)
			if report != nil || !c.is(err) || !strings.Contains(err.Error(), "writing spec.nonce of CAS resource cas") {
				t.Errorf("got %q, %v", report, err)
			}
			if n := len(client.Actions()); n != 1 {
				t.Errorf("asked %d things, want the patch alone: %v", n, client.Actions())
			}
		})
	}
}
