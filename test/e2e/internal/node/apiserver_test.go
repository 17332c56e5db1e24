package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// cluster is an API server that gives kubelets the rights that kubeadm's API servers give them.
type cluster struct {
	*authority

	config *rest.Config
	admin  *kubernetes.Clientset
}

// The tests share one API server, which the first that wants it starts.
var (
	environment *envtest.Environment
	started     = sync.OnceValues(startCluster)
)

func TestMain(m *testing.M) {
	code := m.Run()
	if environment != nil {
		_ = environment.Stop() // the tests are over
	}
	os.Exit(code)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	require.NotEmpty(t, os.Getenv("KUBEBUILDER_ASSETS"), "run this through make, or export KUBEBUILDER_ASSETS=$(tools/apiserver/ensure.sh)")
	c, err := started()
	require.NoError(t, err)
	return c
}

func startCluster() (*cluster, error) {
	a, err := newAuthority()
	if err != nil {
		return nil, err
	}
	environment = &envtest.Environment{ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience}
	server := environment.ControlPlane.GetAPIServer()
	server.Authn = a
	server.Configure().
		Set("authorization-mode", "Node", "RBAC").Set("enable-admission-plugins", "NodeRestriction").
		Set("enable-bootstrap-token-auth", "true").Set("kubelet-preferred-address-types", "InternalIP")
	c := &cluster{authority: a}
	if c.config, err = environment.Start(); err != nil {
		return nil, err
	}
	c.admin, err = kubernetes.NewForConfig(c.config)
	return c, err
}

// kubeconfig writes a kubeconfig of the cluster into a machine's root.
func (c *cluster) kubeconfig(t *testing.T, root, name string, user clientcmdapi.AuthInfo) {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["default"] = &clientcmdapi.Cluster{Server: c.config.Host, CertificateAuthorityData: c.config.CAData}
	config.AuthInfos["default"] = &user
	config.Contexts["default"] = &clientcmdapi.Context{Cluster: "default", AuthInfo: "default"}
	config.CurrentContext = "default"
	require.NoError(t, clientcmd.WriteToFile(*config, filepath.Join(root, name)))
}

// authority is what kubeadm makes as the cluster's: it signs users, and kubelets in place of the controller manager.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// sign makes a client's certificate.
func (a *authority) sign(subject pkix.Name, public any) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: subject, NotBefore: a.certificate.NotBefore, NotAfter: a.certificate.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.certificate, public, a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// issue makes a client's certificate and its key.
func (a *authority) issue(name string, groups ...string) (certificate, key []byte, err error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if certificate, err = a.sign(pkix.Name{CommonName: name, Organization: groups}, secret.Public()); err != nil {
		return nil, nil, err
	}
	key, err = keyutil.MarshalPrivateKeyToPEM(secret)
	return certificate, key, err
}

// Configure lets the API server trust the authority.
func (a *authority) Configure(dir string, args *envtest.Arguments) error {
	file := filepath.Join(dir, "clients.crt")
	args.Set("client-ca-file", file)
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}), 0o600)
}

// Start has nothing to do.
func (a *authority) Start() error { return nil }

// Stop has nothing to do.
func (a *authority) Stop() error { return nil }

// AddUser gives a user a certificate.
func (a *authority) AddUser(user envtest.User, base *rest.Config) (*rest.Config, error) {
	config := rest.CopyConfig(base)
	var err error
	config.CertData, config.KeyData, err = a.issue(user.Name, user.Groups...)
	return config, err
}
