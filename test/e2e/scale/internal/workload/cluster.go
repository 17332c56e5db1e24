package workload

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudv1 "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/cloud/api/v1alpha1"
	inmemoryruntime "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

// cluster is one workload cluster.
type cluster struct {
	endpoint string
	objects  inmemoryruntime.Client
	api      http.Handler
	etcd     http.Handler
	now      func() time.Time

	mu      sync.Mutex
	members map[string]*server     // the API servers, by node
	etcds   map[string]*tls.Config // how etcd answers at each member, by the pod's name
}

// create makes objects that may be there already.
func (c *cluster) create(ctx context.Context, objects ...client.Object) error {
	for _, o := range objects {
		if err := c.objects.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s: %w", o.GetName(), err)
		}
	}
	return nil
}

// knows says whether the cluster lets in who has this token, of the form id.secret.
func (c *cluster) knows(ctx context.Context, token string) error {
	id, secret, _ := strings.Cut(token, ".")
	held := &corev1.Secret{}
	key := client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "bootstrap-token-" + id}
	if err := c.objects.Get(ctx, key, held); err != nil {
		return fmt.Errorf("look for the token: %w", err)
	}
	if string(held.Data["token-secret"]) != secret && held.StringData["token-secret"] != secret {
		return errors.New("the token's secret is another")
	}
	return nil
}

// addControlPlane adds what kubeadm adds of a control plane, and lets its API server listen last: until then nobody sees it.
func (c *cluster) addControlPlane(ctx context.Context, m Machine, r role) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.addEtcd(ctx, r); err != nil {
		return err
	}
	for _, component := range components {
		if component == componentEtcd {
			continue // it has annotations of its own
		}
		if err := c.create(ctx, mirrorPod(component, r.node)); err != nil {
			return err
		}
	}
	if c.members[r.node] != nil {
		return nil
	}
	started, err := c.listen(ctx, m, r)
	if err == nil {
		c.members[r.node] = started
	}
	return err
}

// addEtcd adds a member of etcd.
func (c *cluster) addEtcd(ctx context.Context, r role) error {
	pod := mirrorPod(componentEtcd, r.node)
	if c.etcds[pod.Name] != nil {
		return nil
	}
	id, leader, err := c.etcdCluster(ctx)
	if err != nil {
		return err
	}
	pod.Annotations[cloudv1.EtcdClusterIDAnnotationName] = id
	pod.Annotations[cloudv1.EtcdMemberIDAnnotationName] = newID()
	if !leader {
		pod.Annotations[cloudv1.EtcdLeaderFromAnnotationName] = c.now().Format(time.RFC3339)
	}
	config, err := serving(r.etcdCA, mtlstest.Subject{CommonName: pod.Name, DNSNames: []string{pod.Name}}, tls.RequireAndVerifyClientCert)
	if err != nil {
		return err
	}
	if err := c.create(ctx, pod); err != nil {
		return err
	}
	c.etcds[pod.Name] = config
	return nil
}

// etcdCluster is the id of the etcd cluster, a new one where there is none, and whether it has a leader.
func (c *cluster) etcdCluster(ctx context.Context) (id string, leader bool, err error) {
	var pods corev1.PodList
	err = c.objects.List(ctx, &pods, client.InNamespace(metav1.NamespaceSystem), client.MatchingLabels{"component": componentEtcd})
	if err != nil {
		return "", false, fmt.Errorf("list the members of etcd: %w", err)
	}
	for i := range pods.Items {
		notes := pods.Items[i].Annotations
		if _, removed := notes[cloudv1.EtcdMemberRemoved]; removed {
			continue
		}
		id = notes[cloudv1.EtcdClusterIDAnnotationName]
		_, led := notes[cloudv1.EtcdLeaderFromAnnotationName]
		leader = leader || led
	}
	if id == "" {
		return newID(), false, nil
	}
	return id, leader, nil
}

// newID is an id of etcd's, never 0.
func newID() string { return strconv.FormatUint(uint64(rand.Uint32())|1, 10) }

// remove takes a machine's processes away; its Node stays until somebody deletes it. It reports whether a control plane is left.
func (c *cluster) remove(ctx context.Context, node string) (left bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	started := c.members[node]
	if started == nil {
		return len(c.members) > 0, nil
	}
	delete(c.members, node)
	delete(c.etcds, podName(componentEtcd, node))
	errs := []error{started.close()}
	for _, component := range components {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: podName(component, node)}}
		if err := c.objects.Delete(ctx, pod); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete pod %s: %w", pod.Name, err))
		}
	}
	return len(c.members) > 0, errors.Join(errs...)
}

// etcdAt is how etcd answers at a pod; nil where the name is no member's.
func (c *cluster) etcdAt(pod string) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.etcds[pod]
}

// serving is the TLS of a server whose clients the same authority has signed.
func serving(authority *mtlstest.Authority, as mtlstest.Subject, clients tls.ClientAuthType) (*tls.Config, error) {
	pair, err := authority.Issue(as)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("use the certificate of %s: %w", as.CommonName, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.PEM)
	return &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: clients, ClientCAs: pool, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
	}, nil
}
