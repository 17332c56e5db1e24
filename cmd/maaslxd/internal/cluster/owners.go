package cluster

import (
	"context"
	"fmt"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// OwnerOf reads the Machine that owns a MaasMachine; nil where there is none.
func (a *Access) OwnerOf(ctx context.Context, m *infrav1.MaasMachine) (*clusterv1.Machine, error) {
	return get(ctx, a.Client, client.ObjectKey{Namespace: m.Namespace, Name: ownerOf(m)}, &clusterv1.Machine{})
}

// Images gives the images that MaasMachines and their templates ask for, each once with who asks for it.
func (a *Access) Images(ctx context.Context) (map[string]string, error) {
	images := map[string]string{}
	templates, machines := &infrav1.MaasMachineTemplateList{}, &infrav1.MaasMachineList{}
	if err := a.Client.List(ctx, machines); err != nil {
		return nil, fmt.Errorf("list the MaasMachines: %w", err)
	}
	for i := range machines.Items {
		m := &machines.Items[i]
		images[m.Spec.Image] = "MaasMachine " + m.Namespace + "/" + m.Name
	}
	if err := a.Client.List(ctx, templates); err != nil {
		return nil, fmt.Errorf("list the MaasMachineTemplates: %w", err)
	}
	for i := range templates.Items {
		m := &templates.Items[i]
		images[m.Spec.Template.Spec.Image] = "MaasMachineTemplate " + m.Namespace + "/" + m.Name
	}
	return images, nil
}
