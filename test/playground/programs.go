package playground

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/capmaas/capmaas/test/process"
)

// apiKey is the key of the simulated MAAS; it opens nothing else.
const apiKey = "demo-consumer:demo-token:demo-secret"

// startSimulator starts a MAAS whose work takes seconds instead of minutes.
func (p *Playground) startSimulator(ctx context.Context) error {
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return err
	}
	p.Simulator = "http://" + address
	return p.launch(ctx, "maassim", nil, []string{
		"--listen", address, "--hosts", "12", "--zones", "3", "--metal", "4", "--api-key", apiKey,
		"--compose-duration", "2s", "--deploy-duration", "8s", "--commission-duration", "8s", "--release-duration", "3s", "--delete-duration", "2s",
	}, func(ctx context.Context) error {
		return Get(ctx, p.Simulator+"/MAAS/api/2.0/version/", nil)
	})
}

func (p *Playground) startService(ctx context.Context) error {
	credentials := filepath.Join(p.Work, "credentials")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", credentials, err)
	}
	for name, value := range map[string]string{"MAAS_ENDPOINT": p.Simulator + "/MAAS", "MAAS_API_KEY": apiKey} {
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(value), 0o600); err != nil {
			return fmt.Errorf("write the credentials: %w", err)
		}
	}
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return err
	}
	metrics, err := process.FreeAddress(ctx)
	if err != nil {
		return err
	}
	p.Service = address
	if err := p.issueCertificates(); err != nil {
		return err
	}
	if err := p.dial(address); err != nil {
		return err
	}
	health := healthpb.NewHealthClient(p.Conn)
	// What MAAS has been told of takes seconds here, so that a stop need not wait longer.
	args := []string{"--tls-dir", p.path(serviceTLS), "--listen", address, "--metrics-addr", metrics, "--maas-credentials-dir", credentials, "--drain-timeout", "10s"}
	return p.launch(ctx, "lxdprovisioner", nil, args, func(ctx context.Context) error {
		answer, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: "maas"}, grpc.WaitForReady(false))
		if err == nil && answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = fmt.Errorf("health of maas is %s", answer.GetStatus())
		}
		return err
	})
}

func (p *Playground) startManager(ctx context.Context) error {
	health, err := process.FreeAddress(ctx)
	if err != nil {
		return err
	}
	admission := p.api.Admission
	return p.launch(ctx, "manager", []string{"KUBECONFIG=" + p.Kubeconfig}, []string{
		"--provisioner-address", p.Service, "--provisioner-tls-dir", p.path(managerTLS),
		"--health-addr", health, "--metrics-bind-addr", "0", "--namespace", Namespace,
		"--webhook-host", admission.Host, "--webhook-port", strconv.Itoa(admission.Port), "--webhook-cert-dir", admission.CertDir,
	}, func(ctx context.Context) error {
		return Get(ctx, "http://"+health+"/readyz", nil)
	})
}
