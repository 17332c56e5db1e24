package diagnosis

import (
	"context"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
)

// installProvider names no command of clusterctl alone: by the name maas clusterctl itself knows another provider.
const installProvider = "install the provider as docs/getting-started.md says under Install; clusterctl's own provider of the name maas is another one"

// kinds are the custom resources that must be there, with the version of each that is spoken.
var kinds = []struct{ name, version, whatToDo string }{
	{"maasclusters." + infrav1.GroupVersion.Group, infrav1.GroupVersion.Version, installProvider},
	{"maasmachines." + infrav1.GroupVersion.Group, infrav1.GroupVersion.Version, installProvider},
	{"maasmachinetemplates." + infrav1.GroupVersion.Group, infrav1.GroupVersion.Version, installProvider},
	{"clusters." + clusterv1.GroupVersion.Group, clusterv1.GroupVersion.Version, "install Cluster API of a release that serves this version: clusterctl init"},
	{"machines." + clusterv1.GroupVersion.Group, clusterv1.GroupVersion.Version, "install Cluster API of a release that serves this version: clusterctl init"},
}

// checkCluster looks at the custom resources, the deployments and the MaasClusters, and gathers what the objects ask of MAAS.
func checkCluster(ctx context.Context, n *notes, a *cluster.Access, wants asked) {
	version := &apiextensionsv1.CustomResourceDefinition{}
	err := a.Client.Get(ctx, client.ObjectKey{Name: kinds[0].name}, version)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		n.addf(Wrong, "see that the kubeconfig's cluster is the management cluster and that it answers", "the Kubernetes API at %s: %s", a.Server, err)
		return
	}
	n.okf("the Kubernetes API answers at %s", a.Server)
	if !checkKinds(ctx, n, a.Client) {
		return
	}
	checkDeployments(ctx, n, a.Client)
	checkMaasClusters(ctx, n, a.Client, wants)
	images, err := a.Images(ctx)
	if err != nil {
		unread(n, err)
	}
	maps.Copy(wants.images, images)
}

// checkKinds says whether all are there.
func checkKinds(ctx context.Context, n *notes, c client.Reader) bool {
	complete := true
	for _, kind := range kinds {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		err := c.Get(ctx, client.ObjectKey{Name: kind.name}, crd)
		switch {
		case apierrors.IsForbidden(err):
			unread(n, err)
		case err != nil:
			complete = false
			n.addf(Wrong, kind.whatToDo, "custom resource %s: %s", kind.name, err)
		case !slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == kind.version && v.Served
		}):
			complete = false
			n.addf(Wrong, kind.whatToDo, "custom resource %s does not serve version %s", kind.name, kind.version)
		}
	}
	if complete {
		n.okf("the custom resources are there")
	}
	return complete
}

// provider is the value of Cluster API's label by which deploy/ marks what is ours: other programs have a component "manager" too.
const provider = "infrastructure-maas"

// checkDeployments looks at the manager's and the service's.
func checkDeployments(ctx context.Context, n *notes, c client.Reader) {
	for _, component := range []string{"manager", "lxdprovisioner"} {
		list := &appsv1.DeploymentList{}
		if err := c.List(ctx, list, client.MatchingLabels{clusterv1.ProviderNameLabel: provider, "app.kubernetes.io/component": component}); err != nil {
			unread(n, err)
			continue
		}
		if len(list.Items) == 0 {
			n.addf(Skipped, "", "no deployment of the %s is in this cluster", component)
		}
		for i := range list.Items {
			d := &list.Items[i]
			wanted := int32(1)
			if d.Spec.Replicas != nil {
				wanted = *d.Spec.Replicas
			}
			if d.Status.AvailableReplicas < wanted {
				n.addf(Wrong, "look at its pods: kubectl describe pods -n "+d.Namespace+" -l app.kubernetes.io/component="+component,
					"deployment %s/%s has %d of %d replicas available", d.Namespace, d.Name, d.Status.AvailableReplicas, wanted)
				continue
			}
			n.okf("deployment %s/%s has its %d replicas", d.Namespace, d.Name, wanted)
		}
	}
}

// serious are conditions of a MaasCluster that are wrong where they are False; others are worth a word.
var serious = map[string]bool{infrav1.ProvisionerAvailableCondition: true, infrav1.LoadBalancerReadyCondition: true}

func checkMaasClusters(ctx context.Context, n *notes, c client.Reader, wants asked) {
	list := &infrav1.MaasClusterList{}
	if err := c.List(ctx, list); err != nil {
		unread(n, err)
		return
	}
	good := 0
	for i := range list.Items {
		infra := &list.Items[i]
		name := infra.Namespace + "/" + infra.Name
		wants.domains[infra.Spec.DNSDomain] = "MaasCluster " + name
		fine := true
		for _, condition := range infra.Status.Conditions {
			if condition.Type == clusterv1.ReadyCondition || condition.Type == clusterv1.PausedCondition || condition.Status != metav1.ConditionFalse {
				continue // Ready sums the others up
			}
			fine = false
			status := Warning
			if serious[condition.Type] {
				status = Wrong
			}
			n.addf(status, advice.ForCondition(condition.Reason), "MaasCluster %s: %s is False, %s: %s", name, condition.Type, condition.Reason, condition.Message)
		}
		if fine {
			good++
		}
	}
	if good == len(list.Items) {
		n.okf("%d MaasClusters, all of whose conditions hold", good)
	}
}

// unread notes what may not be read, which is nobody's fault.
func unread(n *notes, err error) {
	n.addf(Skipped, "let an administrator of the cluster look", "not checked: %s", err)
}
