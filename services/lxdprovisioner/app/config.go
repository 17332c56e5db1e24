package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// The files of the credentials directory, and the environment variables that are read where no
// directory is named.
const (
	endpointName = "MAAS_ENDPOINT"
	keyName      = "MAAS_API_KEY"
)

// podIPName is the environment variable with the pod's own address, from the downward API.
const podIPName = "POD_IP"

// The defaults of the flags.
const (
	defaultListen      = ":9090"
	defaultMetricsAddr = ":8080"
	defaultDrain       = 180 * time.Second
	defaultLongCalls   = 6
	defaultListCalls   = 1
	defaultShortCalls  = 4
	defaultHostCalls   = 2
)

// Timing are the durations of the use cases. Tests shorten them.
type Timing = provision.Timing

// DefaultTiming gives the durations that the service keeps to.
func DefaultTiming() Timing { return provision.DefaultTiming() }

// Config is what the service runs with. AddFlags sets the defaults and binds the flags; the fields
// below them are for the program and for tests.
type Config struct {
	// Listen is the address of the gRPC server, host:port.
	Listen string
	// MetricsAddr is the address of /metrics, host:port.
	MetricsAddr string
	// DebugAddr is the loopback address where the log level is read and switched; empty serves none.
	DebugAddr string
	// TLSDir holds tls.crt, tls.key and ca.crt. They are read anew for each connection. Callers need a
	// certificate that ca.crt has signed.
	TLSDir string
	// Insecure serves everybody, in the clear; for development.
	Insecure bool
	// ManagerIdentities are the names of certificates whose bearers may make every call,
	// OperatorIdentities those whose bearers may make the calls that only read.
	ManagerIdentities, OperatorIdentities []string
	// OperatorsMayWrite lets operators make every call.
	OperatorsMayWrite bool
	// HealthAddr is the address at which health alone is served, in the clear, host:port; empty for none.
	HealthAddr string
	// CredentialsDir holds the files MAAS_ENDPOINT and MAAS_API_KEY. Where it is empty the environment
	// variables of these names are taken. The key is read again for each request, the endpoint once.
	CredentialsDir string
	// CAFile is a PEM file of authorities that are trusted for MAAS besides the system's; empty for none.
	CAFile string
	// LogLevel is debug, info, warn or error.
	LogLevel string
	// LogFormat is json or text.
	LogFormat string
	// DrainTimeout bounds how long a stop waits for calls and for work that MAAS has been told of.
	DrainTimeout time.Duration
	// LongCalls, ListCalls and ShortCalls bound how many requests to MAAS run at a time, HostCalls how
	// many of the long ones work on one LXD host.
	LongCalls, ListCalls, ShortCalls, HostCalls int
	// Peers is the DNS name that resolves to all replicas, each of which prefers its own share of the
	// hosts; the environment variable POD_IP then says which of them this one is. Empty for one that is
	// alone.
	Peers string

	// Clock tells the time.
	Clock func() time.Time
	// Getenv reads an environment variable; os.Getenv in the program.
	Getenv func(string) string
	// Resolve looks up Peers; the system's resolver where nil. PeersInterval is the pause between two
	// looks; seconds where zero.
	Resolve       func(ctx context.Context, network, name string) ([]netip.Addr, error)
	PeersInterval time.Duration
	// Logs gets the log.
	Logs io.Writer
	// Timing are the use cases' durations; DefaultTiming where zero.
	Timing Timing
	// CheckInterval is the pause between two checks of a MAAS that answers; DefaultCheckInterval where
	// zero.
	CheckInterval time.Duration
	// ConnectionAge is how long a connection lasts before its caller is asked to open another; minutes
	// where zero.
	ConnectionAge time.Duration
	// Started is told, once, of the addresses that are bound; nil for nobody.
	Started func(Addresses)
}

// Addresses are where the service listens.
type Addresses struct {
	GRPC    net.Addr
	Metrics net.Addr
	// Health is nil where health has no address of its own.
	Health net.Addr
}

// AddFlags sets the defaults and binds the flags.
func (c *Config) AddFlags(flags *flag.FlagSet) {
	flags.StringVar(&c.Listen, "listen", defaultListen, "address of the gRPC server, host:port")
	flags.StringVar(&c.MetricsAddr, "metrics-addr", defaultMetricsAddr, "address of /metrics, host:port")
	flags.StringVar(&c.DebugAddr, "debug-addr", "", "loopback address where the log level is switched, host:port; empty for none")
	flags.StringVar(&c.TLSDir, "tls-dir", "", "directory with tls.crt, tls.key and ca.crt, read anew when they change; callers need a certificate that ca.crt has signed")
	flags.BoolVar(&c.Insecure, "insecure", false, "serve everybody in the clear, user data with their join tokens too; for development")
	c.ManagerIdentities, c.OperatorIdentities = []string{defaultManager}, []string{defaultOperator}
	flags.Var(&names{values: &c.ManagerIdentities}, "manager-identity",
		"common name, DNS or URI name of the certificate of a caller that may make every call; may be given more than once")
	flags.Var(&names{values: &c.OperatorIdentities}, "operator-identity",
		"the same of a caller that may make the calls that only read; may be given more than once")
	flags.BoolVar(&c.OperatorsMayWrite, "operators-may-write", false, "let operators make every call")
	flags.StringVar(&c.HealthAddr, "health-addr", "",
		"address at which health alone is served, in the clear, host:port, for probes that have no certificate; where empty, health is served with the rest only")
	flags.StringVar(&c.CredentialsDir, "maas-credentials-dir", "",
		"directory with the files "+endpointName+" and "+keyName+"; where empty, the environment variables of these names are taken")
	flags.StringVar(&c.CAFile, "maas-ca-file", "", "PEM file of certificate authorities that are trusted for MAAS besides the system's")
	flags.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&c.LogFormat, "log-format", "json", "json or text")
	flags.DurationVar(&c.DrainTimeout, "drain-timeout", defaultDrain, "how long a stop waits for work that MAAS has been told of")
	flags.IntVar(&c.LongCalls, "maas-long-calls", defaultLongCalls, "how many composes, deletions and refreshes MAAS is asked for at a time")
	flags.IntVar(&c.ListCalls, "maas-list-calls", defaultListCalls, "how many lists MAAS is asked for at a time")
	flags.IntVar(&c.HostCalls, "maas-host-calls", defaultHostCalls, "how many of the long calls work on one LXD host at a time")
	flags.IntVar(&c.ShortCalls, "maas-short-calls", defaultShortCalls, "how many short requests MAAS is asked at a time")
	flags.StringVar(&c.Peers, "peers", "",
		"DNS name of all replicas, each of which prefers its own share of the hosts; needs "+podIPName+" in the environment; empty where there is one replica")
}

// settings are what a valid Config gives.
type settings struct {
	endpoint string
	key      maas.Credentials
	level    slog.Level
	// self is this replica's address among its peers; only valid where there are any.
	self netip.Addr
}

// resolve checks everything and names every bad flag, file and variable at once. No error holds the
// key.
func (c *Config) resolve() (settings, error) {
	var s settings
	var errs []error
	bad := func(flagName string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flagName, err))
		}
	}
	bad("listen", checkAddress(c.Listen))
	bad("metrics-addr", checkAddress(c.MetricsAddr))
	if c.DebugAddr != "" {
		bad("debug-addr", checkLoopback(c.DebugAddr))
	}
	if c.HealthAddr != "" {
		bad("health-addr", checkAddress(c.HealthAddr))
	}
	if err := c.checkIdentity(); err != nil {
		errs = append(errs, err)
	}
	bad("log-level", s.level.UnmarshalText([]byte(c.LogLevel)))
	if c.LogFormat != "json" && c.LogFormat != "text" {
		bad("log-format", fmt.Errorf("%q is neither json nor text", c.LogFormat))
	}
	if c.DrainTimeout <= 0 {
		bad("drain-timeout", fmt.Errorf("%s is no time to wait", c.DrainTimeout))
	}
	bad("maas-long-calls", checkLimit(c.LongCalls))
	bad("maas-list-calls", checkLimit(c.ListCalls))
	bad("maas-short-calls", checkLimit(c.ShortCalls))
	bad("maas-host-calls", checkLimit(c.HostCalls))
	if c.CAFile != "" {
		_, err := os.Stat(c.CAFile)
		bad("maas-ca-file", err)
	}
	var err error
	if c.Peers != "" {
		if s.self, err = netip.ParseAddr(c.Getenv(podIPName)); err != nil {
			bad("peers", fmt.Errorf("%s must hold the pod's own address: %w", podIPName, err))
		}
	}
	if s.endpoint, s.key, err = c.credentials(); err != nil {
		errs = append(errs, err)
	} else if err := c.checkMAAS(s); err != nil {
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

func checkLimit(calls int) error {
	if calls < 1 {
		return fmt.Errorf("%d lets nothing through", calls)
	}
	return nil
}

func (c *Config) limits() maas.Limits {
	return maas.Limits{Long: c.LongCalls, List: c.ListCalls, Short: c.ShortCalls, Host: c.HostCalls}
}

// checkMAAS lets the client judge URL, key and CA file; it sends nothing.
func (c *Config) checkMAAS(s settings) error {
	client, err := maas.New(maas.Config{URL: s.endpoint, Credentials: s.key, CAFile: c.existingCAFile(), Clock: c.Clock})
	if err != nil {
		return err
	}
	client.Close()
	return nil
}

// existingCAFile keeps one missing file from being named twice.
func (c *Config) existingCAFile() string {
	if _, err := os.Stat(c.CAFile); err != nil {
		return ""
	}
	return c.CAFile
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is no port", port)
	}
	return nil
}

// credentials finds the endpoint and the way to the key.
func (c *Config) credentials() (string, maas.Credentials, error) {
	if c.CredentialsDir == "" {
		return c.environment()
	}
	var errs []error
	content, err := os.ReadFile(filepath.Join(c.CredentialsDir, endpointName))
	if err != nil {
		errs = append(errs, fmt.Errorf("--maas-credentials-dir: %w", err))
	}
	key := maas.KeyFile(filepath.Join(c.CredentialsDir, keyName))
	if _, err := key(); err != nil {
		errs = append(errs, fmt.Errorf("--maas-credentials-dir: %w", err))
	}
	return strings.TrimSpace(string(content)), key, errors.Join(errs...)
}

func (c *Config) environment() (string, maas.Credentials, error) {
	var errs []error
	get := func(name string) string {
		value := strings.TrimSpace(c.Getenv(name))
		if value == "" {
			errs = append(errs, fmt.Errorf("%s: set it, or name a directory with --maas-credentials-dir", name))
		}
		return value
	}
	endpoint, key := get(endpointName), get(keyName)
	return endpoint, maas.StaticKey(key), errors.Join(errs...)
}
