package managertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/capmaas/capmaas/controllers/app"
)

// serveAdmission starts a manager that serves the webhooks to the API server and reconciles nothing, because its filter fits
// no object. It comes back once they are served.
func serveAdmission() (stop func() error, err error) {
	webhooks := environment.WebhookInstallOptions
	options := app.DefaultOptions()
	options.Config = Config()
	options.MetricsAddress, options.HealthAddress = "0", "0"
	options.WebhookHost, options.WebhookPort = webhooks.LocalServingHost, webhooks.LocalServingPort
	options.WebhookCertDir = webhooks.LocalServingCertDir
	options.WatchFilter = "admission"
	options.OrphanInterval = 0
	options.ProvisionerAddress, options.ProvisionerInsecure = "127.0.0.1:1", true
	options.AnyControllerName = true
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, options) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	if err := awaitTLS(net.JoinHostPort(webhooks.LocalServingHost, strconv.Itoa(webhooks.LocalServingPort)), webhooks.LocalServingCAData, ended); err != nil {
		cancel()
		return nil, fmt.Errorf("serve the webhooks: %w", err)
	}
	return stop, nil
}

// awaitTLS waits until the address answers with a certificate of the authority.
func awaitTLS(address string, authority []byte, ended <-chan error) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case early := <-ended:
			return errors.Join(errors.New("the manager ended"), early)
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
