package management

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

// admins may do everything.
const admins = "system:masters"

// startAPIServer starts etcd and the API server, and reaches them as an administrator.
func (c *Cluster) startAPIServer(ctx context.Context) error {
	if err := c.makePKI(); err != nil {
		return err
	}
	err := c.run("etcd", filepath.Join(c.Assets, "etcd"), nil, "--data-dir", c.path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", c.url("http", portEtcd), "--advertise-client-urls", c.url("http", portEtcd),
		"--listen-peer-urls", c.url("http", portEtcdPeer))
	if err != nil {
		return err
	}
	if err := c.await(ctx, "etcd", answers(c.url("http", portEtcd)+"/readyz")); err != nil {
		return err
	}
	err = c.run("kube-apiserver", filepath.Join(c.Kubernetes, "kube-apiserver"), nil,
		"--etcd-servers", c.url("http", portEtcd), "--bind-address", "0.0.0.0", "--advertise-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(c.port(portAPIServer)), "--tls-cert-file", c.path("pki", "server", "tls.crt"),
		"--tls-private-key-file", c.path("pki", "server", "tls.key"), "--client-ca-file", c.path("pki", "server", mtls.AuthorityFile),
		"--service-account-issuer", "https://kubernetes.default", "--service-account-key-file", c.path("pki", "accounts", "tls.crt"),
		"--service-account-signing-key-file", c.path("pki", "accounts", "tls.key"),
		"--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24", "--disable-admission-plugins", "ServiceAccount")
	if err != nil {
		return err
	}
	if c.Config, err = c.reach("admin", admins); err != nil {
		return err
	}
	c.Kubeconfig = c.path("admin.kubeconfig")
	return c.await(ctx, "the API server", c.connect)
}

func (c *Cluster) makePKI() (err error) {
	if c.authority, err = mtlstest.NewAuthority("management", c.Now); err != nil {
		return err
	}
	return errors.Join(c.mountServer("server"), c.mountServer("accounts"))
}

// mountServer mounts a certificate for servers on loopback where webhook servers look for theirs.
func (c *Cluster) mountServer(name string) error {
	return c.authority.Mount(c.path("pki", name), mtlstest.Subject{
		CommonName: name, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
}

// ServerFor is the URL of the API server at another of this host's addresses, for which its certificate is not made out.
func (c *Cluster) ServerFor(address netip.Addr) string {
	return "https://" + netip.AddrPortFrom(address, uint16(c.port(portAPIServer))).String()
}

// reach writes a kubeconfig of a user, named after it, and gives the same as a configuration.
func (c *Cluster) reach(name string, groups ...string) (*rest.Config, error) {
	return c.reachAs(name, name, groups...)
}

func (c *Cluster) reachAs(file, user string, groups ...string) (*rest.Config, error) {
	pair, err := c.authority.Issue(mtlstest.Subject{CommonName: user, Organizations: groups})
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["management"] = &clientcmdapi.Cluster{Server: c.url("https", portAPIServer), CertificateAuthorityData: c.authority.PEM}
	config.AuthInfos[file] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
	config.Contexts["management"] = &clientcmdapi.Context{Cluster: "management", AuthInfo: file}
	config.CurrentContext = "management"
	if err := clientcmd.WriteToFile(*config, c.path(file+".kubeconfig")); err != nil {
		return nil, fmt.Errorf("write the kubeconfig of %s: %w", file, err)
	}
	made, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig of %s: %w", file, err)
	}
	made.QPS, made.Burst = 200, 400
	return made, nil
}

// connect makes the client once the API server is ready.
func (c *Cluster) connect(ctx context.Context) error {
	reached, err := rest.UnversionedRESTClientFor(c.plain())
	if err != nil {
		return err
	}
	if err := reached.Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	c.Client, err = client.New(c.Config, client.Options{Scheme: Scheme()})
	return err
}

// startControllerManager starts the controllers on which Cluster API relies: garbage collection by owner, namespaces, and
// roles that are made of others.
func (c *Cluster) startControllerManager(ctx context.Context) error {
	port := strconv.Itoa(c.port(portControllerManager))
	err := c.run("kube-controller-manager", filepath.Join(c.Kubernetes, "kube-controller-manager"), nil,
		"--kubeconfig", c.Kubeconfig, "--authentication-kubeconfig", c.Kubeconfig, "--authorization-kubeconfig", c.Kubeconfig,
		"--bind-address", "127.0.0.1", "--secure-port", port, "--leader-elect=false",
		"--tls-cert-file", c.path("pki", "server", "tls.crt"), "--tls-private-key-file", c.path("pki", "server", "tls.key"),
		"--controllers", "garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller")
	if err != nil {
		return err
	}
	transport, err := rest.TransportFor(c.Config)
	if err != nil {
		return fmt.Errorf("reach the controller manager: %w", err)
	}
	return c.await(ctx, "the controller manager", answersTo(&http.Client{Transport: transport}, c.url("https", portControllerManager)+"/healthz"))
}
