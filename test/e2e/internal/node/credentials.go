package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/keyutil"
)

// Where kubeadm leaves a kubelet's credentials: its own, or those with which it asks for some.
const (
	ownConfig       = "etc/kubernetes/kubelet.conf"
	bootstrapConfig = "etc/kubernetes/bootstrap-kubelet.conf"
)

// signing bounds how long one request for a certificate is waited for; after that another is made.
const signing = 20 * time.Second

// errNoCredentials says that kubeadm has not got so far yet.
var errNoCredentials = errors.New("the kubelet has no credentials yet")

// connect reaches the API server as this node, asking for credentials where it has none.
func (k *kubelet) connect(ctx context.Context) (*kubernetes.Clientset, error) {
	if _, err := os.Stat(k.path(ownConfig)); err != nil {
		if _, err := os.Stat(k.path(bootstrapConfig)); err != nil {
			return nil, errNoCredentials
		}
		if err := k.bootstrap(ctx); err != nil {
			return nil, fmt.Errorf("ask for a certificate: %w", err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", k.path(ownConfig))
	if err != nil {
		return nil, err
	}
	config.Timeout = 5 * time.Second
	return kubernetes.NewForConfig(config)
}

// bootstrap asks for a client certificate, as a kubelet with a bootstrap token does, and writes the kubelet's kubeconfig.
func (k *kubelet) bootstrap(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", k.path(bootstrapConfig))
	if err != nil {
		return err
	}
	config.Timeout = 5 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	key, request, err := k.certificateRequest()
	if err != nil {
		return err
	}
	requests := client.CertificatesV1().CertificateSigningRequests()
	made, err := requests.Create(ctx, request, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	var signed []byte
	err = wait.PollUntilContextTimeout(ctx, 300*time.Millisecond, signing, true, func(ctx context.Context) (bool, error) {
		found, err := requests.Get(ctx, made.Name, metav1.GetOptions{})
		if err != nil {
			k.Log.Info("Waiting for a certificate", "error", err)
			return false, nil
		}
		signed = found.Status.Certificate
		return len(signed) > 0, nil
	})
	if err != nil {
		return err
	}
	return k.writeOwnConfig(signed, key)
}

func (k *kubelet) certificateRequest() (keyPEM []byte, request *certificatesv1.CertificateSigningRequest, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		return nil, nil, err
	}
	subject := pkix.Name{CommonName: "system:node:" + k.Hostname, Organization: []string{"system:nodes"}}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		return nil, nil, err
	}
	return keyPEM, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "csr-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}, nil
}

// writeOwnConfig writes the bootstrap kubeconfig anew with the certificate in the token's place.
func (k *kubelet) writeOwnConfig(certificate, key []byte) error {
	config, err := clientcmd.LoadFromFile(k.path(bootstrapConfig))
	if err != nil {
		return err
	}
	for _, user := range config.AuthInfos {
		user.Token, user.TokenFile = "", ""
		user.ClientCertificateData, user.ClientKeyData = certificate, key
	}
	return clientcmd.WriteToFile(*config, k.path(ownConfig))
}
