// Package webhooks is the admission of our kinds: the defaults that a schema can't give, the rules that a schema can't say,
// and warnings about fields that change nothing. What a schema can say stands on the types in api/v1beta1.
//
// Three rules hold for all kinds. An update is asked about only where it changes the spec, so that finalizers and metadata
// can always be changed, manager or not. What an update leaves as bad as it was does not block it. Nobody asks about a
// deletion.
package webhooks

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// SetupWithManager registers the webhooks of all kinds with the manager's webhook server.
func SetupWithManager(mgr ctrl.Manager) error {
	machine := &MaasMachine{Reader: mgr.GetClient()}
	for kind, complete := range map[string]func() error{
		"MaasMachine":         ctrl.NewWebhookManagedBy(mgr, &infrav1.MaasMachine{}).WithDefaulter(machine).WithValidator(machine).Complete,
		"MaasMachineTemplate": ctrl.NewWebhookManagedBy(mgr, &infrav1.MaasMachineTemplate{}).WithValidator(&MaasMachineTemplate{}).Complete,
		"MaasCluster":         ctrl.NewWebhookManagedBy(mgr, &infrav1.MaasCluster{}).WithValidator(&MaasCluster{}).Complete,
		"MaasClusterTemplate": ctrl.NewWebhookManagedBy(mgr, &infrav1.MaasClusterTemplate{}).WithValidator(&MaasClusterTemplate{}).Complete,
	} {
		if err := complete(); err != nil {
			return fmt.Errorf("set up the webhooks of %s: %w", kind, err)
		}
	}
	return nil
}

func groupKind(kind string) schema.GroupKind {
	return schema.GroupKind{Group: infrav1.GroupVersion.Group, Kind: kind}
}
