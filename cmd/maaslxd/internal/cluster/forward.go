package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/proto/mtls"
)

// What deploy/ calls the service's pods and the port at which they serve gRPC.
const (
	componentLabel = "app.kubernetes.io/component"
	component      = "lxdprovisioner"
	portName       = "grpc"
)

// Forward gives an address on loopback that leads to a ready pod of the service, until stop is called.
func (a *Access) Forward(ctx context.Context, namespace string) (address string, stop func(), err error) {
	pod, port, err := a.servicePod(ctx, namespace)
	if err != nil {
		return "", nil, err
	}
	dialer, err := a.dialer(namespace, pod)
	if err != nil {
		return "", nil, err
	}
	stopping, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.NewOnAddressesForStreaming(dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(int(port))}, stopping, ready, io.Discard, io.Discard)
	if err != nil {
		return "", nil, fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, err)
	}
	go func() {
		defer close(ended)
		ended <- forwarder.ForwardPorts()
	}()
	select {
	case <-ready:
	case err := <-ended:
		return "", nil, fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, err)
	case <-ctx.Done():
		close(stopping)
		return "", nil, fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, errors.Join(ctx.Err(), <-ended))
	}
	stop = func() {
		close(stopping)
		for range ended { // until it has ended, because it was told to
		}
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, err)
	}
	return "127.0.0.1:" + strconv.Itoa(int(ports[0].Local)), stop, nil
}

// Certificates reads a Secret of certificates.
func (a *Access) Certificates(ctx context.Context, namespace, secret string) (*service.Certificates, error) {
	found := &corev1.Secret{}
	if err := a.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secret}, found); err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, secret, err)
	}
	return &service.Certificates{
		Cert: found.Data[mtls.CertificateFile], Key: found.Data[mtls.KeyFile], CA: found.Data[mtls.AuthorityFile],
		From: "Secret " + namespace + "/" + secret,
	}, nil
}

// servicePod gives a ready pod of the service and its port.
func (a *Access) servicePod(ctx context.Context, namespace string) (name string, port int32, err error) {
	pods := &corev1.PodList{}
	if err := a.Client.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{componentLabel: component}); err != nil {
		return "", 0, fmt.Errorf("look for the service's pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if port := portOf(pod); isReady(pod) && port != 0 {
			return pod.Name, port, nil
		}
	}
	return "", 0, fmt.Errorf("none of the %d pods with %s=%s in namespace %s is ready; --service-namespace names another, --address goes without",
		len(pods.Items), componentLabel, component, namespace)
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp.IsZero()
		}
	}
	return false
}

func portOf(pod *corev1.Pod) int32 {
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == portName {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// dialer speaks over a web socket, and SPDY where the API server, or a proxy before it, knows no better.
func (a *Access) dialer(namespace, pod string) (httpstream.Dialer, error) { //nolint:ireturn // the library gives and takes the interface
	config := rest.CopyConfig(a.config)
	config.Timeout = 0 // a forwarded port stays open for as long as it is used
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	url := set.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	fallback := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, config)
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(tunnel, fallback, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}
