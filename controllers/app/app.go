// Package app puts the manager together: the connection to the provisioner, the caches, the reconcilers. It is exported so
// that tests start the manager in-process.
package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/machinewatch"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/controllers/internal/queue"
	"github.com/capmaas/capmaas/controllers/internal/tracing"
	"github.com/capmaas/capmaas/controllers/internal/webhooks"
	"github.com/capmaas/capmaas/controllers/maascluster"
	"github.com/capmaas/capmaas/controllers/maasmachine"
	"github.com/capmaas/capmaas/controllers/maasmachinetemplate"
	"github.com/capmaas/capmaas/controllers/orphans"
)

// Version is the manager's version; the linker sets it.
var Version = "unknown"

// managerName is the manager's name where it names itself: as leader, as writer of fields, to workload clusters.
const managerName = "capmaas"

// leaderElectionID is the existing provider's, so that one of each never work at the same time.
const leaderElectionID = "controller-leader-election-capmaas"

// Dialer connects to the provisioner.
type Dialer = func(ctx context.Context, address string) (net.Conn, error)

// Scheme knows every kind that the manager reads or writes.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, clusterv1.AddToScheme, infrav1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Run runs the manager until the context ends.
func Run(ctx context.Context, options Options) error {
	if err := options.Validate(); err != nil {
		return fmt.Errorf("check the options:\n%w", err)
	}
	stopTracing, err := tracing.Start(ctx, Version)
	if err != nil {
		return err
	}
	defer flush(ctx, stopTracing)
	client, err := provisioner.Dial(provisioner.DialOptions{
		Address: options.ProvisionerAddress, Insecure: options.ProvisionerInsecure, Dialer: options.Dialer,
		TLSDir: options.ProvisionerTLSDir, ServerName: options.ProvisionerServerName,
		Unreadable: func(err error) { ctrl.LoggerFrom(ctx).Error(err, "Keeping the certificates that were read before") },
	})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	mgr, err := newManager(options)
	if err != nil {
		return err
	}
	shutdown, err := setup(ctx, mgr, client, options)
	defer shutdown()
	if err != nil {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("Starting the manager", "version", Version, "provisioner", options.ProvisionerAddress)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	return nil
}

// flush sends the spans that are left.
func flush(ctx context.Context, stop func(context.Context) error) {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := stop(ctx); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Stopping before all spans were exported")
	}
}

func newManager(options Options) (ctrl.Manager, error) { //nolint:ireturn // controller-runtime has no other type for it
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	watched := map[string]cache.Config{}
	if options.Namespace != "" {
		watched[options.Namespace] = cache.Config{}
	}
	lead := leaseOf(options.Lease)
	mgr, err := ctrl.NewManager(options.Config, ctrl.Options{
		Scheme:                  scheme,
		LeaderElection:          options.LeaderElect,
		LeaderElectionID:        leaderElectionID,
		LeaderElectionNamespace: options.LeaseNamespace,
		LeaseDuration:           lead.duration,
		RenewDeadline:           lead.renew,
		RetryPeriod:             lead.retry,
		HealthProbeBindAddress:  options.HealthAddress,
		Metrics:                 diagnosticsOf(options),
		PprofBindAddress:        options.ProfilerAddress,
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: options.WebhookHost, Port: options.WebhookPort,
			CertDir: options.WebhookCertDir, CertName: options.WebhookCertName, KeyName: options.WebhookKeyName,
		}),
		Cache: cache.Options{
			DefaultNamespaces: watched, SyncPeriod: &options.SyncPeriod, DefaultTransform: cache.TransformStripManagedFields(),
			// Of ConfigMaps the manager may read and watch those of one name only.
			ByObject: map[client.Object]cache.ByObject{
				&corev1.ConfigMap{}: {Field: fields.OneTermEqualSelector(metav1.ObjectNameField, infrav1.PreferredSubnetConfigMap)},
			},
		},
		// Secrets are read from the API server when they are needed: a cache of them would need the right to list every Secret, and
		// would hold join tokens.
		Client:     client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Controller: config.Controller{SkipNameValidation: &options.AnyControllerName},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return nil, fmt.Errorf("add the health check: %w", err)
		}
	}
	return mgr, serveAdmission(mgr, options)
}

// serveAdmission serves the webhooks. A manager that is asked for them is ready only once they are served: the API server
// refuses every write that it can't ask about.
func serveAdmission(mgr ctrl.Manager, options Options) error {
	if options.WebhookPort == 0 {
		return nil
	}
	if err := webhooks.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("webhook", mgr.GetWebhookServer().StartedChecker()); err != nil {
		return fmt.Errorf("add the health check of the webhooks: %w", err)
	}
	return nil
}

// leaseTerm is how a leader keeps its lease; nil stands for controller-runtime's own durations.
type leaseTerm struct{ duration, renew, retry *time.Duration }

// leaseOf divides a lease as Kubernetes' own components do: 15 s, renewed within 10 s, tried every 2 s.
func leaseOf(lease time.Duration) leaseTerm {
	if lease == 0 {
		return leaseTerm{}
	}
	return leaseTerm{duration: &lease, renew: new(lease * 2 / 3), retry: new(lease * 2 / 15)}
}

// setup makes the reconcilers and registers them. shutdown ends the connections to workload clusters, which outlive the
// manager.
func setup(ctx context.Context, mgr ctrl.Manager, service *provisioner.Client, options Options) (shutdown func(), err error) {
	workloads, err := clustercache.SetupWithManager(ctx, mgr, clustercache.Options{
		SecretClient:     mgr.GetClient(),
		WatchFilterValue: options.WatchFilter,
		Cache:            clustercache.CacheOptions{DefaultTransform: cache.TransformStripManagedFields()},
		Client: clustercache.ClientOptions{
			UserAgent: managerName + "/" + Version,
			Cache:     clustercache.ClientCacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}},
		},
	}, concurrent(options.ClusterConcurrency))
	if err != nil {
		return func() {}, fmt.Errorf("set up the cache of workload clusters: %w", err)
	}
	shutdown = func() {}
	if connections, ok := workloads.(interface{ Shutdown() }); ok {
		shutdown = connections.Shutdown
	}
	now := clock.RealClock{}.Now
	prober := options.Prober
	if prober == nil {
		prober = maascluster.NewProber()
	}
	delays := provisioner.DefaultDelays().Scaled(options.TimeScale)
	region := &provisioner.Region{Client: service.Region, Version: Version, Scale: options.TimeScale, Clock: now}
	clusters := &maascluster.Reconciler{
		Client: mgr.GetClient(), APIReader: mgr.GetAPIReader(), ClusterCache: workloads, Provisioner: service, Prober: prober,
		Region: region, Recorder: mgr.GetEventRecorder("maascluster"), WatchFilter: options.WatchFilter,
		Delays: delays, Backoff: provisioner.NewBackoff(now, rand.Float64, options.TimeScale), Clock: now,
	}
	if err := clusters.SetupWithManager(ctx, mgr, concurrent(options.ClusterConcurrency)); err != nil {
		return shutdown, err
	}
	machines := &maasmachine.Reconciler{
		Client: mgr.GetClient(), APIReader: mgr.GetAPIReader(), ClusterCache: workloads, Provisioner: service,
		Watch:    machinewatch.New(service, machinewatch.DefaultTiming(options.TimeScale)),
		Recorder: mgr.GetEventRecorder("maasmachine"), Namespace: options.Namespace, WatchFilter: options.WatchFilter,
		CreationsPerCluster: options.CreationsPerCluster,
		Delays:              delays, Backoff: provisioner.NewBackoff(now, rand.Float64, options.TimeScale), Clock: now,
	}
	if err := machines.SetupWithManager(ctx, mgr, concurrent(options.MachineConcurrency)); err != nil {
		return shutdown, err
	}
	deletions := &maasmachine.PendingReconciler{Reconciler: machines}
	if err := deletions.SetupWithManager(ctx, mgr, concurrent(options.ClusterConcurrency)); err != nil {
		return shutdown, err
	}
	if options.OrphanInterval > 0 {
		scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * options.TimeScale) }
		sweep := &orphans.Sweep{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), VMs: service.VMs, Recorder: mgr.GetEventRecorder("orphans"),
			Namespace: options.Namespace, WatchFilter: options.WatchFilter,
			Interval: scaled(options.OrphanInterval), Retry: scaled(orphans.Retry), MinAge: scaled(orphans.Longest), Clock: now,
		}
		if err := sweep.SetupWithManager(ctx, mgr, concurrent(1)); err != nil {
			return shutdown, err
		}
	}
	templates := &maasmachinetemplate.Reconciler{Client: mgr.GetClient(), Region: region, Delays: delays, WatchFilter: options.WatchFilter}
	return shutdown, templates.SetupWithManager(ctx, mgr, concurrent(1))
}

// concurrent are the options of a controller with so many workers.
func concurrent(workers int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: queue.New}
}
