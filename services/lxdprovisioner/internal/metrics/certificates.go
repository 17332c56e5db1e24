package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificates are the metrics of the files by which the service and its callers know each other.
type certificates struct {
	ends func() map[string]time.Time
	desc *prometheus.Desc
}

// WatchCertificates adds the metrics of the certificates; ends gives, by file, until when the next connection can use them.
func (m *Metrics) WatchCertificates(ends func() map[string]time.Time) {
	m.registry.MustRegister(&certificates{ends: ends, desc: prometheus.NewDesc("lxdprovisioner_certificate_end_timestamp_seconds",
		"Until when the certificates of a file of --tls-dir can be used, as Unix time: of tls.crt the first to end, of ca.crt the last; absent with --insecure.",
		[]string{"file"}, nil)})
}

// Describe tells the registry what there is.
func (c *certificates) Describe(out chan<- *prometheus.Desc) { describe(out, c.desc) }

// Collect reads the files.
func (c *certificates) Collect(out chan<- prometheus.Metric) {
	for file, end := range c.ends() {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(end.Unix()), file)
	}
}
