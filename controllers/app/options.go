package app

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/cluster-api/feature"

	"github.com/capmaas/capmaas/controllers/maascluster"
	"github.com/capmaas/capmaas/proto/mtls"
)

// Options are everything that the manager can be told.
type Options struct {
	// Config reaches the management cluster.
	Config *rest.Config
	// Namespace is the only one that is watched; empty for all.
	Namespace string
	// WatchFilter is the value of the label cluster.x-k8s.io/watch-filter that objects must have; empty for all.
	WatchFilter string
	// MetricsAddress and HealthAddress are host:port; "0" serves none.
	MetricsAddress, HealthAddress string
	// DiagnosticsAddress is the host:port of metrics and Go's profiles over HTTPS, for whoever may read them, in place of
	// MetricsAddress; empty serves none. InsecureDiagnostics serves the metrics alone there, in the clear and to everybody.
	DiagnosticsAddress  string
	InsecureDiagnostics bool
	// LogLevel is served beside the profiles, at /debug/flags/v, where it can be switched; nil for none.
	LogLevel flag.Value
	// ProfilerAddress is the host:port of Go's profiles, which nothing guards; empty serves none.
	ProfilerAddress string
	// WebhookPort is the port of the admission webhooks; 0 serves none. WebhookHost is the address that they listen at; empty
	// for all.
	WebhookPort int
	WebhookHost string
	// WebhookCertDir is the directory of the webhooks' certificate and key, WebhookCertName and WebhookKeyName are their files.
	// They are read anew when they change.
	WebhookCertDir, WebhookCertName, WebhookKeyName string
	// MachineConcurrency is how many MaasMachines are reconciled at once, ClusterConcurrency how many MaasClusters.
	MachineConcurrency, ClusterConcurrency int
	// CreationsPerCluster is how many machines of one cluster are made at a time; 0 for no limit.
	CreationsPerCluster int
	// SyncPeriod is how often every object is looked at without a reason.
	SyncPeriod time.Duration
	// OrphanInterval is the time between two searches for VMs that belong to no MaasMachine; 0 for none.
	OrphanInterval time.Duration
	// LeaderElect lets one of several managers work at a time.
	LeaderElect bool
	// ProvisionerAddress is the host:port of the provisioner.
	ProvisionerAddress string
	// ProvisionerTLSDir holds tls.crt, tls.key and ca.crt, by which the manager and the provisioner know each other; they are
	// read anew for each connection. ProvisionerServerName is the name that the provisioner's certificate bears.
	ProvisionerTLSDir, ProvisionerServerName string
	// ProvisionerInsecure speaks to it in the clear, without certificates.
	ProvisionerInsecure bool
	// TimeScale multiplies every delay; below 1 for a MAAS whose time runs faster.
	TimeScale float64

	// Dialer replaces the network towards the provisioner; nil for the real one.
	Dialer Dialer
	// Prober replaces the probe of API servers; nil for the real one.
	Prober maascluster.Prober
	// LeaseNamespace is where the leader's lease is; empty for the namespace of the Pod.
	LeaseNamespace string
	// Lease is how long a leader that fell silent keeps the others waiting, at least a second; 0 for 15 s.
	Lease time.Duration
	// AnyControllerName lets several managers of one process use the same controller names.
	AnyControllerName bool
}

// DefaultOptions are the options of a manager that is told nothing but where the provisioner is.
func DefaultOptions() Options {
	return Options{
		MetricsAddress: ":8080", HealthAddress: ":9440",
		WebhookPort: 9443, WebhookCertDir: "/tmp/k8s-webhook-server/serving-certs/", WebhookCertName: "tls.crt", WebhookKeyName: "tls.key",
		MachineConcurrency: 50, ClusterConcurrency: 10, CreationsPerCluster: 100, SyncPeriod: 10 * time.Minute, OrphanInterval: 30 * time.Minute, TimeScale: 1,
		ProvisionerServerName: mtls.ServerName,
	}
}

// AddFlags registers a flag for each option that the command line may give.
func (o *Options) AddFlags(fs *flag.FlagSet) {
	fs.StringVar(&o.Namespace, "namespace", o.Namespace, "The only `namespace` to watch; all where left out")
	fs.StringVar(&o.WatchFilter, "watch-filter", o.WatchFilter, "Watch only objects whose label cluster.x-k8s.io/watch-filter has this `value`")
	fs.StringVar(&o.MetricsAddress, "metrics-bind-addr", o.MetricsAddress, "`host:port` of the metrics, or 0 for none")
	fs.StringVar(&o.HealthAddress, "health-addr", o.HealthAddress, "`host:port` of /healthz and /readyz, or 0 for none")
	fs.StringVar(&o.DiagnosticsAddress, "diagnostics-address", o.DiagnosticsAddress,
		"`host:port` of metrics and Go's profiles over HTTPS, in place of --metrics-bind-addr, for tokens whose holders may get the path; "+
			"the manager needs the ClusterRole system:auth-delegator for it")
	fs.BoolVar(&o.InsecureDiagnostics, "insecure-diagnostics", o.InsecureDiagnostics,
		"Serve the metrics alone at --diagnostics-address, in the clear and to everybody")
	fs.StringVar(&o.ProfilerAddress, "profiler-address", o.ProfilerAddress,
		"`host:port` of Go's profiles, for example localhost:6060; none where left out. Nothing guards them")
	fs.Func("feature-gates", "Cluster API's feature gates, as `name=true,name=false`. Known: "+strings.Join(feature.MutableGates.KnownFeatures(), "; "),
		feature.MutableGates.Set)
	fs.IntVar(&o.WebhookPort, "webhook-port", o.WebhookPort, "`port` of the admission webhooks, or 0 for none; without them nothing checks what the schema can't say")
	fs.StringVar(&o.WebhookHost, "webhook-host", o.WebhookHost, "`address` at which the admission webhooks listen; all where left out")
	fs.StringVar(&o.WebhookCertDir, "webhook-cert-dir", o.WebhookCertDir, "`directory` of the admission webhooks' certificate and key")
	fs.StringVar(&o.WebhookCertName, "webhook-cert-name", o.WebhookCertName, "`file` of the certificate in --webhook-cert-dir")
	fs.StringVar(&o.WebhookKeyName, "webhook-key-name", o.WebhookKeyName, "`file` of the key in --webhook-cert-dir")
	fs.IntVar(&o.MachineConcurrency, "machine-concurrency", o.MachineConcurrency, "`number` of MaasMachines that are reconciled at once")
	fs.IntVar(&o.ClusterConcurrency, "cluster-concurrency", o.ClusterConcurrency, "`number` of MaasClusters that are reconciled at once")
	fs.IntVar(&o.CreationsPerCluster, "creations-per-cluster", o.CreationsPerCluster,
		"`number` of machines of one cluster that are made at a time, or 0 for no limit; the provisioner's --maas-host-calls bounds them for a host")
	fs.DurationVar(&o.SyncPeriod, "sync-period", o.SyncPeriod, "How often every object is looked at without a reason")
	fs.DurationVar(&o.OrphanInterval, "orphan-interval", o.OrphanInterval,
		"Time between two searches for VMs in MAAS that belong to no MaasMachine, or 0 for none; each costs MAAS 30 ms a VM")
	fs.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "Work only while holding the lease of the leader")
	fs.StringVar(&o.ProvisionerAddress, "provisioner-address", o.ProvisionerAddress, "`host:port` of the provisioner")
	fs.StringVar(&o.ProvisionerTLSDir, "provisioner-tls-dir", o.ProvisionerTLSDir,
		"`directory` with tls.crt, tls.key and ca.crt, by which the manager and the provisioner know each other; read anew when they change")
	fs.StringVar(&o.ProvisionerServerName, "provisioner-server-name", o.ProvisionerServerName, "`name` that the provisioner's certificate must bear")
	fs.BoolVar(&o.ProvisionerInsecure, "provisioner-insecure", o.ProvisionerInsecure,
		"Speak to the provisioner in the clear, user data with its join tokens too; on loopback only")
	fs.Float64Var(&o.TimeScale, "time-scale", o.TimeScale, "`factor` of every delay; below 1 for a simulated MAAS whose time runs faster")
}

// Validate names every bad option at once.
func (o *Options) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if o.ProvisionerAddress == "" {
		bad("--provisioner-address: must be set")
	}
	switch {
	case o.ProvisionerTLSDir == "" && !o.ProvisionerInsecure:
		bad("--provisioner-tls-dir: name the directory with tls.crt, tls.key and ca.crt; or, for development alone, speak in the clear with --provisioner-insecure")
	case o.ProvisionerTLSDir != "" && o.ProvisionerInsecure:
		bad("--provisioner-insecure: contradicts --provisioner-tls-dir: give one of them")
	case o.ProvisionerServerName == "":
		bad("--provisioner-server-name: must be set")
	}
	for flagName, address := range map[string]string{
		"--metrics-bind-addr": o.MetricsAddress, "--health-addr": o.HealthAddress, "--profiler-address": cmp.Or(o.ProfilerAddress, "0"),
		"--diagnostics-address": cmp.Or(o.DiagnosticsAddress, "0"),
	} {
		if err := checkAddress(address); err != nil {
			bad("%s: %w", flagName, err)
		}
	}
	if o.Namespace != "" {
		for _, message := range validation.IsDNS1123Label(o.Namespace) {
			bad("--namespace: %q: %s", o.Namespace, message)
		}
	}
	for flagName, value := range map[string]int{
		"--machine-concurrency": o.MachineConcurrency, "--cluster-concurrency": o.ClusterConcurrency,
	} {
		if value < 1 {
			bad("%s: %d: must be at least 1", flagName, value)
		}
	}
	if o.CreationsPerCluster < 0 {
		bad("--creations-per-cluster: %d: must be at least 0", o.CreationsPerCluster)
	}
	if o.WebhookPort < 0 || o.WebhookPort > 65535 {
		bad("--webhook-port: %d: must be from 0 to 65535", o.WebhookPort)
	}
	if o.SyncPeriod < time.Second {
		bad("--sync-period: %s: must be at least 1s", o.SyncPeriod)
	}
	if o.OrphanInterval != 0 && o.OrphanInterval < time.Second {
		bad("--orphan-interval: %s: must be 0 or at least 1s", o.OrphanInterval)
	}
	if o.TimeScale <= 0 {
		bad("--time-scale: %g: must be more than 0", o.TimeScale)
	}
	return errors.Join(all...)
}

// checkAddress takes host:port, :port and 0.
func checkAddress(address string) error {
	if address == "0" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is neither host:port nor 0", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: the port must be a number from 0 to 65535", address)
	}
	return nil
}
