package workload

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	inmemoryruntime "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/runtime"
	inmemoryapi "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server/api"
	inmemoryetcd "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server/etcd"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Machine is a machine that is to become a member of a cluster.
type Machine struct {
	Hostname string
	// Address is one of this computer's own.
	Address netip.Addr
	// Version is that of the Kubernetes in the machine's image, such as v1.36.3.
	Version string
	// UserData are the machine's as MAAS received them, in base64.
	UserData string
}

// Host holds all clusters.
type Host struct {
	objects inmemoryruntime.Manager
	now     func() time.Time
	joiner  *http.Client

	mu       sync.Mutex
	clusters map[string]*cluster // by endpoint
}

// joining bounds how long a machine waits for its cluster's endpoint in one try.
const joining = 5 * time.Second

// quiet is for servers whose clients go away when they want to.
var quiet = log.New(io.Discard, "", 0)

// NewHost makes a host without clusters, which works until the context ends. Dial reaches endpoints; nil for the network.
func NewHost(ctx context.Context, now func() time.Time, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Host, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, rbacv1.AddToScheme, storagev1.AddToScheme, policyv1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("know the kinds: %w", err)
		}
	}
	h := &Host{objects: inmemoryruntime.NewManager(scheme), now: now, clusters: make(map[string]*cluster)}
	h.joiner = &http.Client{Timeout: joining, Transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true,
		// kubeadm first reads who the cluster is from a server that it can't know yet.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}}
	if err := h.objects.Start(ctrl.LoggerInto(ctx, logr.Discard())); err != nil {
		return nil, fmt.Errorf("start the in-memory objects: %w", err)
	}
	return h, nil
}

// Boot makes a machine what its user data say. It may be repeated, and fails where the cluster can't be joined yet.
func (h *Host) Boot(ctx context.Context, m Machine) error {
	text, err := base64.StdEncoding.DecodeString(m.UserData)
	if err != nil {
		return fmt.Errorf("decode the user data of %s: %w", m.Hostname, err)
	}
	r, err := read(text, m.Hostname, h.now)
	if err != nil {
		return fmt.Errorf("read the user data of %s: %w", m.Hostname, err)
	}
	c := h.cluster(r)
	if err := h.enter(ctx, c, m, r); err != nil {
		return err
	}
	if err := c.create(ctx, nodeOf(m, r, metav1.NewTime(h.now()))); err != nil {
		return err
	}
	if r.controlPlane {
		return c.addControlPlane(ctx, m, r)
	}
	return nil
}

// errNoCluster says that there is nothing to join.
var errNoCluster = errors.New("there is no such cluster yet")

// enter is kubeadm's way in: the first makes the cluster's objects, the others need an API server at the endpoint and a token
// that it knows.
func (h *Host) enter(ctx context.Context, c *cluster, m Machine, r role) error {
	if c == nil {
		return fmt.Errorf("join %s: %w", r.endpoint, errNoCluster)
	}
	if r.first {
		return c.create(ctx, kubeadmObjects(r.configuration, m.Version)...)
	}
	if err := h.discover(ctx, r.endpoint); err != nil {
		return fmt.Errorf("join %s: %w", r.endpoint, err)
	}
	if err := c.knows(ctx, r.token); err != nil {
		return fmt.Errorf("join %s: %w", r.endpoint, err)
	}
	return nil
}

// discover asks the endpoint whether somebody answers there.
func (h *Host) discover(ctx context.Context, endpoint string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+endpoint+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := h.joiner.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// cluster is the one that a machine belongs to; the first machine makes it, nil where it has not.
func (h *Host) cluster(r role) *cluster {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.clusters[r.endpoint]; c != nil || !r.first {
		return c
	}
	h.objects.AddResourceGroup(r.endpoint)
	itself := func(string) (string, error) { return r.endpoint, nil }
	c := &cluster{
		endpoint: r.endpoint, objects: h.objects.GetResourceGroup(r.endpoint).GetClient(), now: h.now,
		api:     inmemoryapi.NewAPIServerHandler(h.objects, logr.Discard(), itself),
		etcd:    inmemoryetcd.NewEtcdServerHandler(h.objects, logr.Discard(), itself),
		members: make(map[string]*server), etcds: make(map[string]*tls.Config),
	}
	h.clusters[r.endpoint] = c
	return c
}

// Halt switches a machine off. With its last control plane a cluster and all its objects are gone.
func (h *Host) Halt(ctx context.Context, m Machine) error {
	text, err := base64.StdEncoding.DecodeString(m.UserData)
	if err != nil {
		return fmt.Errorf("decode the user data of %s: %w", m.Hostname, err)
	}
	r, err := read(text, m.Hostname, h.now)
	if err != nil || !r.controlPlane {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.clusters[r.endpoint]
	if c == nil {
		return nil
	}
	left, err := c.remove(ctx, r.node)
	if !left {
		delete(h.clusters, r.endpoint)
		h.objects.DeleteResourceGroup(r.endpoint)
	}
	return err
}
