package service

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/capmaas/capmaas/proto/mtls"
)

// Names that deploy/ gives to what the command looks for in a cluster.
const (
	// DefaultNamespace holds the manager and the service.
	DefaultNamespace = "capmaas-system"
	// OperatorSecret holds the operator's certificate, which may read and change nothing.
	OperatorSecret = "capmaas-operator-tls"
)

// The environment variables that stand for flags which are not given.
const (
	AddressVariable = "MAASLXD_ADDRESS"
	TLSDirVariable  = "MAASLXD_TLS_DIR"
)

// Options say how the service is reached.
type Options struct {
	// Address is host:port; empty to go through the Kubernetes API.
	Address string
	// TLSDir holds tls.crt, tls.key and ca.crt. Cert, Key and CA name single files and win.
	TLSDir        string
	Cert, Key, CA string
	// ServerName must stand in the service's certificate.
	ServerName string
	// Insecure speaks in the clear.
	Insecure bool
	// Namespace is where the service runs, for going through the Kubernetes API.
	Namespace string
	// Timeout bounds what one command asks of the service.
	Timeout time.Duration
}

// AddFlags lets flags set the options; the environment stands for those that are not given.
func (o *Options) AddFlags(flags *pflag.FlagSet, getenv func(string) string) {
	flags.StringVar(&o.Address, "address", getenv(AddressVariable), "host:port of the service; empty to reach it through the Kubernetes API ($"+AddressVariable+")")
	flags.StringVar(&o.TLSDir, "tls-dir", getenv(TLSDirVariable), "directory of tls.crt, tls.key and ca.crt ($"+TLSDirVariable+"); without it the Secret "+OperatorSecret+" is read")
	flags.StringVar(&o.Cert, "cert", "", "file of the client certificate")
	flags.StringVar(&o.Key, "key", "", "file of the client certificate's key")
	flags.StringVar(&o.CA, "ca", "", "file of the authority that signed the service's certificate")
	flags.StringVar(&o.ServerName, "server-name", mtls.ServerName, "name in the service's certificate")
	flags.BoolVar(&o.Insecure, "insecure", false, "speak in the clear, without certificates")
	flags.StringVar(&o.Namespace, "service-namespace", DefaultNamespace, "namespace in which the service runs")
	flags.DurationVar(&o.Timeout, "timeout", 2*time.Minute, "how long to wait for the service; a list takes MAAS 30 ms a VM")
}
