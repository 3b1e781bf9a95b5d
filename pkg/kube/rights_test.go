package kube

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

func ownNamespace() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
}

func TestCheckRights(t *testing.T) {
	c, clientset := newFake(ownNamespace())
	asked := allow(clientset)
	if err := c.CheckRights(t.Context(), false); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"create secrets", "delete services", "patch statefulsets.apps", "watch pods", "get pods/log", "create jobs.batch", "delete jobs.batch",
	} {
		if !slices.Contains(asked.questions, namespace+": "+want) {
			t.Errorf("%s was not asked for; asked %q", want, asked.questions)
		}
	}
}

func TestCheckRightsFindsWhatIsMissing(t *testing.T) {
	c, clientset := newFake(ownNamespace())
	allow(clientset, "create secrets", "delete secrets", "get pods/log", "create jobs.batch")
	err := c.CheckRights(t.Context(), false)
	var missing *MissingRightsError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff("no permission in namespace shop to: create, delete secrets; get pods/log; create jobs", err.Error()); diff != "" {
		t.Error(diff)
	}
	text, found := strings.CutPrefix(missing.Hint(), "Ask an administrator to apply this role:\n")
	var role rbacv1.Role
	if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil || !found {
		t.Fatalf("%v in %s", err, missing.Hint())
	}
	if role.Kind != "Role" || role.APIVersion != "rbac.authorization.k8s.io/v1" || role.Name != "confidb-install" || role.Namespace != namespace {
		t.Errorf("got %+v", role)
	}
	var got []right
	for _, r := range role.Rules {
		got = append(got, right{r.APIGroups[0], r.Resources[0], r.Verbs})
	}
	if diff := cmp.Diff(rights(), got, cmp.AllowUnexported(right{})); diff != "" {
		t.Errorf("the role does not give what is asked for: %s", diff)
	}
}

func TestCheckRightsWithoutAnAnswer(t *testing.T) {
	c, clientset := newFake(ownNamespace())
	clientset.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewInternalError(errors.New("no"))
	})
	if err := c.CheckRights(t.Context(), false); err != nil {
		t.Errorf("what nobody denied is missing: %v", err)
	}
}

func TestCheckRightsWantsTheNamespace(t *testing.T) {
	c, clientset := newFake()
	allow(clientset)
	err := c.CheckRights(t.Context(), false)
	var none *NoNamespaceError
	if !errors.As(err, &none) || err.Error() != `namespace "shop" does not exist` {
		t.Errorf("got %v", err)
	} else if !strings.Contains(none.Hint(), "--create-namespace") || !strings.Contains(none.Hint(), "kubectl create namespace shop") {
		t.Errorf("hint %q", none.Hint())
	}
	if err := c.CheckRights(t.Context(), true); err != nil {
		t.Errorf("it will be created: %v", err)
	}
	// Whoever may not look at namespaces may still install in one.
	clientset.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("namespaces"), namespace, nil)
	})
	if err := c.CheckRights(t.Context(), false); err != nil {
		t.Errorf("nobody said that it is missing: %v", err)
	}
}
