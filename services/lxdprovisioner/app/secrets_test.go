package app_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
)

// joinToken stands for what the user data holds.
const (
	joinToken = "abcdef.0123456789abcdef"
	userData  = "#cloud-config\ntoken: " + joinToken + "\n"
)

// transportLog is gRPC's own log, at its highest verbosity, of all tests in this package.
var transportLog = &logBook{}

func init() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2WithVerbosity(transportLog, transportLog, transportLog, 99))
}

func deploy(name, data string) *lxdprovisionerv1.DeployVMRequest {
	return &lxdprovisionerv1.DeployVMRequest{
		Attempt: attempt(name), Owner: owner(), Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"}, UserData: []byte(data),
	}
}

// errorBook keeps errors in every form in which a caller may print them, details included.
type errorBook struct {
	text  strings.Builder
	codes []codes.Code
}

func (b *errorBook) note(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	b.codes = append(b.codes, status.Code(err))
	for e := err; e != nil; e = errors.Unwrap(e) {
		_, _ = fmt.Fprintf(&b.text, "%v\n%+v\n%#v\n", e, e, e)
	}
	proto := status.Convert(err).Proto()
	asJSON, jsonErr := protojson.Marshal(proto)
	require.NoError(t, jsonErr)
	_, _ = fmt.Fprintf(&b.text, "%s\n%s\n%v\n", asJSON, prototext.Format(proto), status.Convert(err).Details())
}

// life takes a VM and a machine through every call that carries a secret, or makes the service see one.
func life(ctx context.Context, t *testing.T, s *service) *errorBook {
	t.Helper()
	book := &errorBook{}
	lxd, metal := lxdprovisionerv1.NewLXDProvisionerClient(s.conn), lxdprovisionerv1.NewBareMetalProvisionerClient(s.conn)
	_, err := lxd.ListHosts(ctx, &lxdprovisionerv1.ListHostsRequest{}) // reads the hosts' parameters, with LXD's private key
	book.note(t, err)
	_, err = lxd.ComposeVM(ctx, compose("cp-0"))
	book.note(t, err)
	_, err = lxd.DeployVM(ctx, deploy("cp-0", userData))
	book.note(t, err)
	_, err = lxd.DeployVM(ctx, deploy("Not A Name", userData))
	book.note(t, err)
	ref := &lxdprovisionerv1.MachineRef{AgentName: "capmaas/w-0"}
	allocated, err := metal.AllocateMachine(ctx, &lxdprovisionerv1.AllocateMachineRequest{Machine: ref, Owner: owner()})
	book.note(t, err)
	ref.SystemId = allocated.GetMachine().GetSystemId()
	_, err = metal.DeployMachine(ctx, &lxdprovisionerv1.DeployMachineRequest{
		Machine: ref, Owner: owner(), Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"}, UserData: []byte(userData), KeepSwap: true,
	})
	book.note(t, err)
	region, err := lxdprovisionerv1.NewRegionProvisionerClient(s.conn).GetRegion(ctx, &lxdprovisionerv1.GetRegionRequest{})
	book.note(t, err)
	book.text.WriteString(region.GetProblem())
	return book
}

// assertSilent looks for secrets in everything that leaves the service. It makes no spans.
func assertSilent(t *testing.T, s *service, book *errorBook, secrets ...string) {
	t.Helper()
	encoded := base64.StdEncoding.EncodeToString([]byte(userData))
	secrets = append(secrets, joinToken, encoded, encoded[20:44], "PRIVATE KEY", "BEGIN CERTIFICATE")
	for name, text := range map[string]string{
		"an error": book.text.String(), "the log": s.logs.String(), "a metric": s.scrape(t), "gRPC's log": transportLog.String(),
	} {
		require.NotEmpty(t, text, name)
		for _, secret := range secrets {
			assert.NotContains(t, text, secret, "%s holds a secret", name)
		}
	}
}

func TestService_tells_no_secret_while_all_is_well(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, nil)
			s := r.start(t, func(c *app.Config) { c.LogFormat = format })
			book := life(t.Context(), t, s)
			vm, ok := r.Machine("cp-0")
			require.True(t, ok)
			sent, ok := r.UserData(vm.SystemID)
			require.True(t, ok)
			require.Equal(t, base64.StdEncoding.EncodeToString([]byte(userData)), sent, "the user data did reach MAAS")
			require.Positive(t, r.Requests()["vm-hosts.parameters"], "LXD's private key did reach the service")
			assertSilent(t, s, book, strings.Split(r.APIKey(), ":")...)
		})
	}
}

// TestService_tells_no_secret_of_a_key_that_MAAS_refuses: a real MAAS, and the simulator like it,
// answers a wrong signature with the token secret that it expected.
func TestService_tells_no_secret_of_a_key_that_MAAS_refuses(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(consumer, token, secret string) string{
		"wrong_secret":     func(consumer, token, _ string) string { return consumer + ":" + token + ":TheWrongSecret0001" },
		"unknown_token":    func(consumer, _, secret string) string { return consumer + ":TheWrongToken00001:" + secret },
		"unknown_consumer": func(_, token, secret string) string { return "TheWrongConsumer01:" + token + ":" + secret },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, nil)
			parts := strings.Split(r.APIKey(), ":")
			key := wrong(parts[0], parts[1], parts[2])
			if name == "wrong_secret" {
				require.Contains(t, refusedBody(t, r, key), parts[2], "MAAS does leak it")
			}
			s := r.start(t, func(c *app.Config) { c.CredentialsDir = mounted(t, r, key) })
			book := life(t.Context(), t, s)
			require.Contains(t, book.text.String(), "MAAS_KEY_REFUSED", "the refusal is told")
			assertSilent(t, s, book, append(parts, strings.Split(key, ":")...)...)
		})
	}
}

// refusedBody is what MAAS answers to a key.
func refusedBody(t *testing.T, r *region, key string) string {
	t.Helper()
	parts := strings.Split(key, ":")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+"/MAAS/api/2.0/users/?op=whoami", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="%d", oauth_timestamp="%d"`,
		parts[0], parts[1], parts[2], time.Now().UnixNano(), time.Now().Unix()))
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	return string(body)
}

func TestService_tells_no_secret_when_MAAS_fails(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte(userData))
	deployments := "machines.deploy"
	for name, faults := range map[string][]maassim.Fault{
		"400_quotes_the_user_data":     {{Operation: deployments, Status: 400, Body: "Failed to render preseed: near " + userData}},
		"400_quotes_it_encoded":        {{Operation: deployments, Status: 400, Body: `{"user_data": ["` + encoded + `"]}`, Header: map[string]string{"Content-Type": "application/json"}}},
		"409_quotes_the_user_data":     {{Operation: deployments, Status: 409, Body: userData}},
		"500_quotes_the_user_data":     {{Operation: deployments, Status: 500, Body: userData}},
		"503_quotes_the_user_data":     {{Operation: deployments, Status: 503, Body: "image is unavailable: " + userData}},
		"the_deployment_fails":         {{Operation: deployments, Effect: maassim.EffectFail}},
		"the_start_fails_after_commit": {{Operation: deployments, Effect: maassim.EffectPostCommit}},
		"the_answer_is_lost":           {{Operation: deployments, Reset: true, After: true}},
		"the_answer_is_garbage":        {{Operation: deployments, Mangle: maassim.MangleGarbage}},
		"parameters_of_wrong_types":    {{Operation: "vm-hosts.parameters", Mangle: maassim.MangleWrongTypes}},
		"parameters_cut":               {{Operation: "vm-hosts.parameters", Mangle: maassim.MangleTruncated}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, nil)
			require.NoError(t, r.AddFaults(faults...))
			s := r.start(t, nil)
			assertSilent(t, s, life(t.Context(), t, s), strings.Split(r.APIKey(), ":")...)
		})
	}
}

func TestService_tells_no_secret_when_MAAS_can_not_be_trusted(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	untrusted := httptest.NewUnstartedServer(r.Sim)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	s := r.start(t, func(c *app.Config) {
		c.Getenv = func(name string) string {
			return map[string]string{"MAAS_ENDPOINT": untrusted.URL, "MAAS_API_KEY": r.APIKey()}[name]
		}
	})
	book := life(t.Context(), t, s)
	require.Contains(t, book.text.String(), "certificate")
	assertSilent(t, s, book, strings.Split(r.APIKey(), ":")...)
}

func TestService_tells_no_secret_of_a_key_that_is_spoilt_while_it_runs(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	dir := mounted(t, r, r.APIKey())
	s := r.start(t, func(c *app.Config) { c.CredentialsDir = dir })
	for _, spoilt := range []string{"", strings.ReplaceAll(r.APIKey(), ":", " "), r.APIKey() + ":" + r.APIKey(), strings.Repeat(r.APIKey(), 50)} {
		writeKey(t, dir, spoilt)
		book := life(t.Context(), t, s)
		require.Contains(t, book.text.String(), "MAAS_KEY_REFUSED")
		assertSilent(t, s, book, strings.Split(r.APIKey(), ":")...)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "MAAS_API_KEY")))
	assertSilent(t, s, life(t.Context(), t, s), strings.Split(r.APIKey(), ":")...)
}

func TestService_tells_no_secret_of_a_call_that_is_given_up(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	first := life(t.Context(), t, s)
	require.NoError(t, r.AddFaults(maassim.Fault{Latency: 200 * time.Millisecond}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	book := life(ctx, t, s)
	require.NotEmpty(t, book.codes)
	book.text.WriteString(first.text.String())
	assertSilent(t, s, book, strings.Split(r.APIKey(), ":")...)
}

func TestService_tells_no_secret_of_a_handler_that_panics(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	var armed atomic.Bool
	s := r.start(t, func(c *app.Config) {
		c.Clock = func() time.Time {
			// The clock is asked inside of every call that has a deadline, and by much else that must live.
			if armed.Load() && strings.Contains(string(debug.Stack()), "unaryDeadline") {
				panic("spoilt by " + userData + r.APIKey())
			}
			return time.Now()
		}
	})
	armed.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	book := life(ctx, t, s)
	armed.Store(false)
	require.Contains(t, book.codes, codes.Internal)
	require.True(t, logged(s, "Recovered from a panic"), s.logs.String())
	assertSilent(t, s, book, strings.Split(r.APIKey(), ":")...)
}
