package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// report tells the API server of the node and its pods, as far as kubeadm has got.
func (k *kubelet) report(ctx context.Context) error {
	client, err := k.connect(ctx)
	if errors.Is(err, errNoCredentials) {
		return nil
	}
	if err != nil {
		return err
	}
	node, err := k.register(ctx, client)
	if err != nil {
		return err
	}
	return errors.Join(k.heartbeat(ctx, client, node), k.reportPods(ctx, client, node))
}

// register makes the Node, as a kubelet does: without a provider ID, which the infrastructure provider knows.
func (k *kubelet) register(ctx context.Context, client kubernetes.Interface) (*corev1.Node, error) {
	node, err := client.CoreV1().Nodes().Get(ctx, k.Hostname, metav1.GetOptions{})
	if err == nil || !apierrors.IsNotFound(err) {
		return node, err
	}
	node, err = client.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: k.Hostname, Labels: map[string]string{
			corev1.LabelHostname: k.Hostname, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		}},
		Spec: corev1.NodeSpec{Taints: k.registrationTaints()},
	}, metav1.CreateOptions{})
	if err == nil {
		k.Log.Info("Registered the node", "node", k.Hostname)
	}
	return node, err
}

// kubeletFlags is where kubeadm writes the flags of the kubelet.
const kubeletFlags = "var/lib/kubelet/kubeadm-flags.env"

var taintFlag = regexp.MustCompile(`--register-with-taints=([^"\s]+)`)

// registrationTaints are those that kubeadm wants the node to be born with.
func (k *kubelet) registrationTaints() []corev1.Taint {
	text, err := os.ReadFile(k.path(kubeletFlags))
	if err != nil {
		return nil
	}
	found := taintFlag.FindSubmatch(text)
	if found == nil {
		return nil
	}
	var taints []corev1.Taint
	for one := range strings.SplitSeq(string(found[1]), ",") {
		name, effect, _ := strings.Cut(one, ":")
		key, value, _ := strings.Cut(name, "=")
		taints = append(taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
	}
	return taints
}

// heartbeatInterval is how often a node whose state is the same says that it is still there.
const heartbeatInterval = 10 * time.Second

// heartbeat says that the node is well.
func (k *kubelet) heartbeat(ctx context.Context, client kubernetes.Interface, node *corev1.Node) error {
	now := k.Now()
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && now.Sub(c.LastHeartbeatTime.Time) < heartbeatInterval {
			return nil
		}
	}
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	node.Status.Capacity, node.Status.Allocatable = room, room
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: k.Address.String()}, {Type: corev1.NodeHostName, Address: k.Hostname},
	}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = k.port
	node.Status.NodeInfo = corev1.NodeSystemInfo{
		KubeletVersion: k.Version, OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: "processes://1", OSImage: "sandbox",
	}
	node.Status.Conditions = nodeConditions(node.Status.Conditions, metav1.NewTime(now))
	_, err := client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("say that the node is well: %w", err)
	}
	return nil
}

// healthy are the conditions that a kubelet keeps, as they are on a node that is well.
var healthy = map[corev1.NodeConditionType]corev1.ConditionStatus{
	corev1.NodeReady: corev1.ConditionTrue, corev1.NodeMemoryPressure: corev1.ConditionFalse,
	corev1.NodeDiskPressure: corev1.ConditionFalse, corev1.NodePIDPressure: corev1.ConditionFalse,
}

// nodeConditions keeps the times at which conditions changed, and the conditions that others than the kubelet have set.
func nodeConditions(before []corev1.NodeCondition, now metav1.Time) []corev1.NodeCondition {
	var all []corev1.NodeCondition
	for _, old := range before {
		if _, ours := healthy[old.Type]; !ours {
			all = append(all, old)
		}
	}
	for kind, status := range healthy {
		c := corev1.NodeCondition{Type: kind, Status: status, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}
		for _, old := range before {
			if old.Type == kind && old.Status == status {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
		all = append(all, c)
	}
	return all
}
