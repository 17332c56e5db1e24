package app_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2/textlogger"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/capmaas/capmaas/controllers/app"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// serveDiagnostics serves what the options say, and gives a function that asks for a path with a token.
func serveDiagnostics(t *testing.T, options app.Options) (get func(path, token string) (status int, body string)) {
	t.Helper()
	reach, err := rest.HTTPClientFor(options.Config)
	require.NoError(t, err)
	served, err := metricsserver.NewServer(app.DiagnosticsOf(options), options.Config, reach)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- served.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	bound, ok := served.(interface{ GetBindAddr() string })
	require.True(t, ok)
	managertest.Eventually(t, func(c *managertest.Check) { assert.NotEmpty(c, bound.GetBindAddr()) }, "it listens")
	scheme := "https://"
	if options.InsecureDiagnostics {
		scheme = "http://"
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	return func(path, token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+bound.GetBindAddr()+path, http.NoBody)
		require.NoError(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
}

func TestDiagnostics_are_for_whoever_may_read_them(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.DiagnosticsAddress, options.LogLevel = "127.0.0.1:0", textlogger.NewConfig().Verbosity()
	get := serveDiagnostics(t, options)
	token := func(name string) string {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: name}}
		require.NoError(t, bed.Client.Create(t.Context(), account))
		request := &authenticationv1.TokenRequest{}
		require.NoError(t, bed.Client.SubResource("token").Create(t.Context(), account, request))
		return request.Status.Token
	}
	stranger, reader := token("stranger"), token("reader")
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: bed.Namespace}, Rules: []rbacv1.PolicyRule{
		{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
	}}
	require.NoError(t, bed.Client.Create(t.Context(), role))
	require.NoError(t, bed.Client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bed.Namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: bed.Namespace, Name: "reader"}},
	}))
	managertest.Eventually(t, func(c *managertest.Check) {
		status, body := get("/metrics", reader)
		assert.Equal(c, http.StatusOK, status)
		assert.Contains(c, body, "capmaas_deletions_handed_over_total")
	}, "the API server has seen the binding")
	for name, row := range map[string]struct {
		path, token string
		want        int
	}{
		"nobody":                       {"/metrics", "", http.StatusUnauthorized},
		"a_forged_token":               {"/metrics", "abc.def.ghi", http.StatusUnauthorized},
		"somebody_without_the_right":   {"/metrics", stranger, http.StatusForbidden},
		"profiles_are_a_right_apart":   {"/debug/pprof/cmdline", reader, http.StatusForbidden},
		"profiles_are_for_nobody_else": {"/debug/pprof/heap", "", http.StatusUnauthorized},
		"so_is_the_log_level":          {"/debug/flags/v", reader, http.StatusForbidden},
	} {
		status, _ := get(row.path, row.token)
		assert.Equal(t, row.want, status, name)
	}
}

func TestDiagnostics_in_the_clear_hold_no_profiles(t *testing.T) {
	t.Parallel()
	options := app.DefaultOptions()
	options.Config, options.DiagnosticsAddress, options.InsecureDiagnostics = managertest.Config(), "127.0.0.1:0", true
	get := serveDiagnostics(t, options)
	status, _ := get("/metrics", "")
	assert.Equal(t, http.StatusOK, status)
	status, _ = get("/debug/pprof/heap", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, ":8080", app.DiagnosticsOf(app.DefaultOptions()).BindAddress, "without the flag they are where the existing provider has them")
}
