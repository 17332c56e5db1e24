package stack

import (
	"context"

	"k8s.io/client-go/rest"

	managerapp "github.com/capmaas/capmaas/controllers/app"
)

// ManagerOptions are the options of a manager for one namespace that serves nothing and speaks to a service on loopback.
func ManagerOptions(config *rest.Config, namespace, service string) managerapp.Options {
	o := managerapp.DefaultOptions()
	o.Config, o.Namespace = config, namespace
	o.MetricsAddress, o.HealthAddress, o.WebhookPort = "0", "0", 0
	o.ProvisionerAddress, o.ProvisionerInsecure = service, true
	o.AnyControllerName = true
	return o
}

// StartManager starts a manager. It runs on when ctx ends.
func StartManager(ctx context.Context, options managerapp.Options) *Process {
	return background(ctx, func(ctx context.Context) error { return managerapp.Run(ctx, options) })
}
