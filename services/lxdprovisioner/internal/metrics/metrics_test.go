package metrics_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/metrics"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Server().Handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return answer.Body.String()
}

func TestChecked_tells_of_the_last_check_alone(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1")
	assert.NotContains(t, scrape(t, m), "\nlxdprovisioner_maas_usable", "nothing is known before the first check")
	m.Checked("MAAS_KEY_REFUSED")
	text := scrape(t, m)
	assert.Contains(t, text, "\nlxdprovisioner_maas_usable 0\n")
	assert.Contains(t, text, `lxdprovisioner_maas_problem{reason="MAAS_KEY_REFUSED"} 1`)
	m.Checked("")
	text = scrape(t, m)
	assert.Contains(t, text, "\nlxdprovisioner_maas_usable 1\n")
	assert.NotContains(t, text, "lxdprovisioner_maas_problem{")
}

// TestRefusedConnection has what no caller of the tests brings about; those of app's tests are refused in earnest.
func TestRefusedConnection_counts_every_error_under_one_of_its_reasons(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1")
	assert.Contains(t, scrape(t, m), `lxdprovisioner_refused_connections_total{reason="expired"} 0`, "there before the first")
	for reason, err := range map[string]error{
		"bad_certificate": &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}},
		"timeout":         &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"other":           errors.New("tls: something new"),
	} {
		m.RefusedConnection(err)
		assert.Contains(t, scrape(t, m), `lxdprovisioner_refused_connections_total{reason="`+reason+`"} 1`)
	}
}

func TestWatchCapacity_tells_bytes_and_nothing_before_the_first_reading(t *testing.T) {
	t.Parallel()
	m, readAt := metrics.New("v1"), time.Time{}
	m.WatchCapacity(func(context.Context) ([]provision.ZoneCapacity, time.Time) {
		if readAt.IsZero() {
			return nil, readAt
		}
		return []provision.ZoneCapacity{{
			Zone: "a", Usable: 2, Unusable: 1,
			Total: inventory.Resources{Cores: 8, MemoryMiB: 4, DiskBytes: 100}, Free: inventory.Resources{Cores: 3, MemoryMiB: 1, DiskBytes: 40},
		}}, readAt
	})
	assert.NotContains(t, scrape(t, m), "\nlxdprovisioner_zone_")
	readAt = time.Unix(1000, 0)
	text := scrape(t, m)
	for _, line := range []string{
		`lxdprovisioner_zone_hosts{state="usable",zone="a"} 2`, `lxdprovisioner_zone_hosts{state="unusable",zone="a"} 1`,
		`lxdprovisioner_zone_cores_free{zone="a"} 3`,
		`lxdprovisioner_zone_memory_bytes{zone="a"} 4.194304e+06`, `lxdprovisioner_zone_storage_free_bytes{zone="a"} 40`,
		`lxdprovisioner_inventory_read_timestamp_seconds 1000`,
	} {
		assert.Contains(t, text, "\n"+line+"\n")
	}
}
