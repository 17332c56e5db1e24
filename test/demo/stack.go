package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/clusterapi"
	"github.com/capmaas/capmaas/test/scheme"
)

// namespace is where the samples are applied.
const namespace = "default"

// apiKey is the key of the simulated MAAS; it opens nothing else.
const apiKey = "demo-consumer:demo-token:demo-secret"

type options struct {
	bin, work string
	keep      bool
}

// stack is everything that runs.
type stack struct {
	options
	api        *apiserver.Server
	kubeconfig string
	client     client.Client
	processes  []*process
	simulator  string
	service    string
	conn       *grpc.ClientConn
	hosts      lxdprovisionerv1.LXDProvisionerClient
	endStandIn context.CancelFunc
}

// startStack starts all parts, each when the one before answers. What it gives back is to be
// stopped even where it fails.
func startStack(ctx context.Context, s *screen, o options) (*stack, error) {
	st := &stack{options: o, endStandIn: func() {}}
	if err := os.MkdirAll(o.work, 0o755); err != nil {
		return st, fmt.Errorf("make %s: %w", o.work, err)
	}
	for _, part := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"API server and etcd", st.startAPIServer},
		{"simulated MAAS", st.startSimulator},
		{"service lxdprovisioner", st.startService},
		{"manager", st.startManager},
	} {
		if err := part.start(ctx); err != nil {
			return st, stopped(ctx, err)
		}
		s.sayf("started the %s", part.name)
	}
	return st, nil
}

func (st *stack) startAPIServer(ctx context.Context) error {
	api, err := apiserver.StartWithAdmission(ctx)
	if err != nil {
		return err
	}
	st.api = api
	st.kubeconfig = filepath.Join(st.work, "kubeconfig")
	if err := os.WriteFile(st.kubeconfig, api.Kubeconfig, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	st.client, err = client.New(api.Config, client.Options{Scheme: scheme.New()})
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	standInCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	st.endStandIn = cancel
	go (&clusterapi.StandIn{Client: st.client, Namespace: namespace}).Run(standInCtx)
	return nil
}

// startSimulator starts a MAAS whose work takes seconds instead of minutes.
func (st *stack) startSimulator(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	st.simulator = "http://" + address
	err = st.launch("maassim", nil, "--listen", address, "--hosts", "12", "--zones", "3", "--metal", "4", "--api-key", apiKey,
		"--compose-duration", "2s", "--deploy-duration", "8s", "--commission-duration", "8s", "--release-duration", "3s", "--delete-duration", "2s")
	if err != nil {
		return err
	}
	return await(ctx, "the simulated MAAS", time.Minute, st.alive, func(ctx context.Context) error {
		return get(ctx, st.simulator+"/MAAS/api/2.0/version/", nil)
	})
}

func (st *stack) startService(ctx context.Context) error {
	credentials := filepath.Join(st.work, "credentials")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", credentials, err)
	}
	for name, value := range map[string]string{"MAAS_ENDPOINT": st.simulator + "/MAAS", "MAAS_API_KEY": apiKey} {
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(value), 0o600); err != nil {
			return fmt.Errorf("write the credentials: %w", err)
		}
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	metrics, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	st.service = address
	if err := st.launch("lxdprovisioner", nil, "--listen", address, "--metrics-addr", metrics, "--maas-credentials-dir", credentials); err != nil {
		return err
	}
	st.conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("reach the service: %w", err)
	}
	st.hosts = lxdprovisionerv1.NewLXDProvisionerClient(st.conn)
	health := healthpb.NewHealthClient(st.conn)
	return await(ctx, "the service", time.Minute, st.alive, func(ctx context.Context) error {
		answer, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: "maas"})
		if err == nil && answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = fmt.Errorf("health of maas is %s", answer.GetStatus())
		}
		return err
	})
}

func (st *stack) startManager(ctx context.Context) error {
	health, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	admission := st.api.Admission
	err = st.launch("manager", []string{"KUBECONFIG=" + st.kubeconfig}, "--provisioner-address", st.service, "--provisioner-insecure",
		"--health-addr", health, "--metrics-bind-addr", "0", "--namespace", namespace,
		"--webhook-host", admission.Host, "--webhook-port", strconv.Itoa(admission.Port), "--webhook-cert-dir", admission.CertDir)
	if err != nil {
		return err
	}
	return await(ctx, "the manager", time.Minute, st.alive, func(ctx context.Context) error {
		return get(ctx, "http://"+health+"/readyz", nil)
	})
}

func (st *stack) launch(name string, env []string, args ...string) error {
	p, err := startProcess(st.work, name, filepath.Join(st.bin, name), env, args...)
	if err != nil {
		return err
	}
	st.processes = append(st.processes, p)
	return nil
}

// alive says which process is gone that should be there.
func (st *stack) alive() error {
	for _, p := range st.processes {
		if err := p.exited(); err != nil {
			return err
		}
	}
	return nil
}

// stop stops everything, the last first: the manager, the service, the simulator, the API server.
func (st *stack) stop(s *screen) error {
	st.endStandIn()
	var errs []error
	if st.conn != nil {
		errs = append(errs, st.conn.Close())
	}
	for _, p := range slices.Backward(st.processes) {
		errs = append(errs, p.stop())
	}
	if st.api != nil {
		errs = append(errs, st.api.Stop())
	}
	err := errors.Join(errs...)
	if err == nil {
		s.sayf("stopped everything; logs are in %s", st.work)
	}
	return err
}

// explain says how to reach what is left running.
func (st *stack) explain(s *screen) {
	s.raw(strings.Join([]string{
		"", "Everything keeps running until Ctrl-C. In another shell:",
		"  export KUBECONFIG=" + st.kubeconfig,
		"  kubectl get maasmachines -o wide",
		"  grpcurl -plaintext " + st.service + " list",
		"  grpcurl -plaintext -d '{\"vm_name\":\"probe\",\"dry_run\":true,\"resources\":{\"cores\":64,\"memory_mib\":4096,\"disks\":[{\"size_gb\":20}]}}' " + st.service + " lxdprovisioner.v1.LXDProvisioner/SelectHost",
		"  curl -s " + st.simulator + "/_sim/lxd", "Logs are in " + st.work + ".",
	}, "\n"))
}

// get reads a URL and, where into is not nil, its JSON.
func get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}
