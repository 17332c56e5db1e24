package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
)

// The annotations by which a kubelet marks the mirror of a static pod.
const (
	mirrorAnnotation = "kubernetes.io/config.mirror"
	hashAnnotation   = "kubernetes.io/config.hash"
	sourceAnnotation = "kubernetes.io/config.source"
)

// reportPods keeps the mirrors of static pods, says that other pods run, and lets pods go that are to be deleted.
func (k *kubelet) reportPods(ctx context.Context, client kubernetes.Interface, node *corev1.Node) error {
	mine := fields.OneTermEqualSelector("spec.nodeName", k.Hostname).String()
	list, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: mine})
	if err != nil {
		return fmt.Errorf("list the node's pods: %w", err)
	}
	static := k.snapshot()
	mirrored := make(map[string]bool)
	var errs []error
	for i := range list.Items {
		pod := &list.Items[i]
		if _, mirror := pod.Annotations[mirrorAnnotation]; !mirror {
			errs = append(errs, k.reportPod(ctx, client, pod))
			continue
		}
		running, ok := static[pod.Name]
		if !ok || pod.Annotations[mirrorAnnotation] != hashOf(running.manifest) || pod.DeletionTimestamp != nil {
			errs = append(errs, remove(ctx, client, pod))
			continue
		}
		mirrored[pod.Name] = true
		errs = append(errs, setStatus(ctx, client, pod, running.status(ctx, k.Address.String())))
	}
	for name, running := range static {
		if !mirrored[name] {
			errs = append(errs, k.mirror(ctx, client, node, name, running))
		}
	}
	return errors.Join(errs...)
}

// reportPod says that a pod runs of which nothing does.
func (k *kubelet) reportPod(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	if pod.DeletionTimestamp != nil {
		return errors.Join(complete(ctx, client, pod), remove(ctx, client, pod))
	}
	if pod.Status.Phase == corev1.PodRunning {
		return nil
	}
	k.Log.Info("Saying that a pod runs", "pod", pod.Namespace+"/"+pod.Name)
	return setStatus(ctx, client, pod, podStatus(pod, k.Address.String(), corev1.PodRunning, true, k.Now(), 1))
}

// complete says that a pod that is to be deleted has ended. A finalizer may keep it there for longer, and what others said of it stays.
func complete(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	if pod.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	pod.Status.Phase = corev1.PodSucceeded
	for i := range pod.Status.Conditions {
		if kind := pod.Status.Conditions[i].Type; kind == corev1.PodReady || kind == corev1.ContainersReady {
			pod.Status.Conditions[i].Status = corev1.ConditionFalse
		}
	}
	for i := range pod.Status.ContainerStatuses {
		pod.Status.ContainerStatuses[i].Ready = false
		pod.Status.ContainerStatuses[i].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
	}
	_, err := client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// mirror makes the mirror of a static pod. It keeps the manifest's annotations: kubeadm finds etcd's members by them.
func (k *kubelet) mirror(ctx context.Context, client kubernetes.Interface, node *corev1.Node, name string, running *staticPod) error {
	pod := running.pod.DeepCopy()
	hash := hashOf(running.manifest)
	annotations := map[string]string{mirrorAnnotation: hash, hashAnnotation: hash, sourceAnnotation: "file"}
	maps.Copy(annotations, pod.Annotations)
	pod.Name, pod.Annotations, pod.Spec.NodeName = name, annotations, k.Hostname
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: new(true)}}
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute})
	made, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("mirror %s: %w", name, err)
	}
	return setStatus(ctx, client, made, running.status(ctx, k.Address.String()))
}

// snapshot are the static pods by the names of their mirrors.
func (k *kubelet) snapshot() map[string]*staticPod {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[string]*staticPod, len(k.static))
	for _, p := range k.static {
		all[p.pod.Name+"-"+k.Hostname] = p
	}
	return all
}

func remove(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	now := int64(0)
	err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// setStatus writes a status that says something new.
func setStatus(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, status corev1.PodStatus) error {
	if pod.Status.Phase == status.Phase && isReady(pod.Status) == isReady(status) {
		return nil
	}
	pod.Status = status
	_, err := client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

func isReady(status corev1.PodStatus) bool {
	for _, c := range status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// podStatus is what a kubelet writes of a pod all of whose containers are in one state.
func podStatus(pod *corev1.Pod, address string, phase corev1.PodPhase, ready bool, started time.Time, starts int32) corev1.PodStatus {
	now := metav1.Now()
	status := corev1.PodStatus{Phase: phase, PodIP: address, HostIP: address, StartTime: &now}
	truth := corev1.ConditionFalse
	if ready {
		truth = corev1.ConditionTrue
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		c := corev1.PodCondition{Type: kind, Status: truth, LastTransitionTime: now}
		if kind == corev1.PodScheduled || kind == corev1.PodInitialized {
			c.Status = corev1.ConditionTrue
		}
		status.Conditions = append(status.Conditions, c)
	}
	for _, container := range pod.Spec.Containers {
		s := corev1.ContainerStatus{Name: container.Name, Image: container.Image, Ready: ready, RestartCount: max(0, starts-1)}
		if started.IsZero() {
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
		} else {
			s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
	return status
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
