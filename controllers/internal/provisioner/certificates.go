package provisioner

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/capmaas/capmaas/proto/mtls"
)

// certificateEnds tells of the certificates of every open client of the process; there is one in the manager.
var certificateEnds = &certificates{
	open: map[*mtls.Credentials]bool{},
	desc: prometheus.NewDesc("capmaas_certificate_end_timestamp_seconds",
		"Until when the certificates of a file of --provisioner-tls-dir can be used, as Unix time: of tls.crt the first to end, of ca.crt the last; absent with --provisioner-insecure.",
		[]string{"file"}, nil),
}

func init() { metrics.Registry.MustRegister(certificateEnds) } //nolint:gochecknoinits // metrics are registered once a process

// certificates are the metrics of the files by which the manager and the provisioner know each other.
type certificates struct {
	desc *prometheus.Desc

	mu   sync.Mutex
	open map[*mtls.Credentials]bool
}

// watch tells of the credentials until the function that it gives is called.
func (c *certificates) watch(own *mtls.Credentials) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[own] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, own)
	}
}

// Describe tells the registry what there is.
func (c *certificates) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect reads the files.
func (c *certificates) Collect(out chan<- prometheus.Metric) {
	first := map[string]time.Time{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for own := range c.open {
		for file, end := range own.Ends() {
			if known, ok := first[file]; !ok || end.Before(known) {
				first[file] = end
			}
		}
	}
	for file, end := range first {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(end.Unix()), file)
	}
}
