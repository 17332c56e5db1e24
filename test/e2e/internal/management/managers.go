package management

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/test/e2e/internal/manifest"
)

// manager is one manager with what it installs.
type manager struct {
	name, deployment string
	binary           string
	render           func(context.Context) ([]byte, error)
	args             []string
	// first is the first of its ports.
	first    int
	provider manifest.Provider
}

// The ports of a manager, counted from its first.
const (
	portWebhook = iota
	portHealth
	portMetrics
)

// MetricsURLs are where the managers' metrics are served, by the managers' names.
func (c *Cluster) MetricsURLs() map[string]string {
	all := make(map[string]string, len(c.managers))
	for _, m := range c.managers {
		all[m.name] = c.url("http", m.first+portMetrics) + "/metrics"
	}
	return all
}

// gates are the features of Cluster API that its users turn on.
const gates = "--feature-gates=ClusterTopology=true,MachineTaintPropagation=true"

// installed are the managers with what they install, read once.
func (c *Cluster) installed() []*manager {
	clusterAPI := func(name, deployment string, first int) *manager {
		return &manager{
			name: name, deployment: deployment, binary: filepath.Join(c.ClusterAPI, name), first: portFirstManager + first,
			render: func(context.Context) ([]byte, error) { return os.ReadFile(filepath.Join(c.ClusterAPI, name+".yaml")) },
			args:   []string{"--insecure-diagnostics", "--diagnostics-address", fmt.Sprintf("127.0.0.1:%d", c.port(portFirstManager+first+portMetrics))},
		}
	}
	core := clusterAPI("core", "capi-controller-manager", 0)
	controlPlane := clusterAPI("controlplane", "capi-kubeadm-control-plane-controller-manager", 20)
	core.args, controlPlane.args = append(core.args, gates), append(controlPlane.args, gates)
	return []*manager{
		core,
		clusterAPI("bootstrap", "capi-kubeadm-bootstrap-controller-manager", 10),
		controlPlane,
		{
			name: "manager", deployment: "capmaas-controller-manager", binary: filepath.Join(c.Own, "manager"), first: portFirstManager + 30,
			render: c.renderOwn,
			args: []string{
				"--webhook-host", "127.0.0.1", "--metrics-bind-addr", fmt.Sprintf("127.0.0.1:%d", c.port(portFirstManager+30+portMetrics)),
				"--provisioner-address", fmt.Sprintf("%s:%d", service, c.port(portService)), "--provisioner-tls-dir", c.path(managerTLS),
			},
		},
	}
}

// renderOwn renders deploy/default as an operator does.
func (c *Cluster) renderOwn(ctx context.Context) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.Assets, "kubectl"), "kustomize", filepath.Join(c.Root, "deploy", "default"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("render deploy/default: %w", err)
	}
	return out, nil
}

// install applies what every provider installs, but for the webhooks, and writes a kubeconfig for each manager.
func (c *Cluster) install(ctx context.Context) error {
	c.managers = c.installed()
	for _, m := range c.managers {
		stream, err := m.render(ctx)
		if err != nil {
			return fmt.Errorf("render %s: %w", m.name, err)
		}
		at := manifest.Endpoint{Port: c.port(m.first + portWebhook), Authority: c.authority.PEM}
		if m.provider, err = manifest.Read(stream, m.deployment, at); err != nil {
			return fmt.Errorf("read the manifests of %s: %w", m.name, err)
		}
		if err := c.apply(ctx, m.provider.Objects); err != nil {
			return err
		}
		if _, err := c.reachAs(m.name, m.provider.User, serviceAccountGroups(m.provider.User)...); err != nil {
			return err
		}
	}
	return c.await(ctx, "the kinds", c.established)
}

// serviceAccountGroups are those that an API server knows a service account by when it shows a token.
func serviceAccountGroups(user string) []string {
	namespace, _, _ := strings.Cut(strings.TrimPrefix(user, "system:serviceaccount:"), ":")
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

// fieldOwner owns the fields that a run applies.
const fieldOwner = client.FieldOwner("e2e")

func (c *Cluster) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if err := c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func (c *Cluster) established(ctx context.Context) error {
	var kinds apiextensionsv1.CustomResourceDefinitionList
	if err := c.Client.List(ctx, &kinds); err != nil {
		return err
	}
	for i := range kinds.Items {
		established := false
		for _, condition := range kinds.Items[i].Status.Conditions {
			established = established || condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue
		}
		if !established {
			return fmt.Errorf("kind %s is not established", kinds.Items[i].Name)
		}
	}
	return nil
}

// startManagers starts every manager with the rights of its own service account.
func (c *Cluster) startManagers(ctx context.Context) error {
	for _, m := range c.managers {
		if err := c.mountServer(m.name); err != nil {
			return err
		}
		kubeconfig := c.path(m.name + ".kubeconfig")
		args := append([]string{
			"--webhook-port", strconv.Itoa(c.port(m.first + portWebhook)), "--webhook-cert-dir", c.path("pki", m.name),
			"--health-addr", fmt.Sprintf("127.0.0.1:%d", c.port(m.first+portHealth)), "--kubeconfig", kubeconfig,
		}, m.args...)
		if err := c.run(m.name, m.binary, nil, args...); err != nil {
			return err
		}
	}
	for _, m := range c.managers {
		if err := c.await(ctx, m.name, answers(c.url("http", m.first+portHealth)+"/readyz")); err != nil {
			return err
		}
	}
	return nil
}

// admit lets the API server ask the managers.
func (c *Cluster) admit(ctx context.Context) error {
	for _, m := range c.managers {
		if err := c.apply(ctx, m.provider.Webhooks); err != nil {
			return err
		}
	}
	return nil
}

// The directories of the certificates by which manager and service know each other.
const (
	serviceTLS = "tls-service"
	managerTLS = "tls-manager"
)

// introduce gives manager and service certificates of an authority that signs for nothing else.
func (c *Cluster) introduce() error {
	authority, err := mtlstest.NewAuthority("capmaas", c.Now)
	if err != nil {
		return err
	}
	return errors.Join(
		authority.Mount(c.path(serviceTLS), mtlstest.Subject{DNSNames: []string{mtls.ServerName}}),
		authority.Mount(c.path(managerTLS), mtlstest.Subject{CommonName: "capmaas-manager"}),
	)
}

// startService starts the service's replicas, each at its own address, as behind a headless Service.
func (c *Cluster) startService(ctx context.Context) error {
	credentials := c.path("credentials")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", credentials, err)
	}
	for name, value := range map[string]string{"MAAS_ENDPOINT": c.MAAS, "MAAS_API_KEY": c.Key} {
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(value), 0o600); err != nil {
			return fmt.Errorf("write the credentials: %w", err)
		}
	}
	if err := c.introduce(); err != nil {
		return err
	}
	var errs []error
	for n, address := range replicas {
		errs = append(errs, c.run(fmt.Sprintf("lxdprovisioner-%d", n), filepath.Join(c.Own, "lxdprovisioner"), []string{"POD_IP=" + address.String()},
			"--listen", fmt.Sprintf("%s:%d", address, c.port(portService)), "--metrics-addr", fmt.Sprintf("%s:%d", address, c.port(portService)+1),
			"--maas-credentials-dir", credentials, "--peers", service, "--tls-dir", c.path(serviceTLS)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, address := range replicas {
		url := fmt.Sprintf("http://%s:%d/metrics", address, c.port(portService)+1)
		if err := c.await(ctx, "the service at "+address.String(), answers(url)); err != nil {
			return err
		}
	}
	return nil
}
