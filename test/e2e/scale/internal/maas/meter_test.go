package maas_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/maas"
)

// metered is a MAAS whose clock moves on by a second whenever it is looked at.
func metered(t *testing.T) (*maassim.Sim, *maas.Meter, func(path string, form url.Values) string) {
	t.Helper()
	sim, err := maassim.New(maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	var seconds atomic.Int64
	meter := maas.NewMeter(sim, func() time.Time { return time.Unix(seconds.Add(1), 0) })
	return sim, meter, func(path string, form url.Values) string {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/MAAS/api/2.0/"+path, strings.NewReader(form.Encode()))
		key := strings.Split(sim.APIKey(), ":")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", `+
			`oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="%d", oauth_timestamp="%d"`, key[0], key[1], key[2], seconds.Add(1), time.Now().Unix()))
		answer := httptest.NewRecorder()
		meter.ServeHTTP(answer, request)
		return fmt.Sprint(answer.Code)
	}
}

func TestMeter_knows_what_MAAS_alone_takes_for_a_machine(t *testing.T) {
	t.Parallel()
	sim, meter, post := metered(t)
	require.Equal(t, "200", post("vm-hosts/1/?op=compose", url.Values{
		"hostname": {"vm-1"}, "cores": {"1"}, "memory": {"1024"}, "storage": {"root:8"}, "skip_commissioning": {"true"},
	}))
	vm, ok := sim.Machine("vm-1")
	require.True(t, ok)
	require.Equal(t, "200", post("machines/?op=allocate", url.Values{"system_id": {vm.SystemID}}))
	require.Equal(t, "200", post("machines/"+vm.SystemID+"/?op=deploy", url.Values{"distro_series": {"jammy"}}))
	life, ok := meter.Life(vm.SystemID)
	require.True(t, ok)
	_, done := life.Own()
	assert.False(t, done, "MAAS does not call it Deployed yet")

	meter.Deployed(vm.SystemID)
	meter.Deployed(vm.SystemID) // a second look changes nothing
	life, _ = meter.Life(vm.SystemID)
	own, done := life.Own()
	assert.True(t, done)
	assert.Equal(t, 2*time.Second, life.Making, "a second each for compose and allocate")
	assert.Equal(t, 3*time.Second, own, "and one from the deployment's request until it is seen to be done")

	require.Equal(t, "409", post("machines/?op=allocate", url.Values{"system_id": {vm.SystemID}}))
	after, _ := meter.Life(vm.SystemID)
	assert.Equal(t, life, after, "what is refused makes no machine")
}

func TestMeter_tells_lists_apart_by_their_filters(t *testing.T) {
	t.Parallel()
	_, meter, _ := metered(t)
	for _, query := range []string{"?id=a&not_status=deployed&id=b", "?not_status=ready&id=c", ""} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/MAAS/api/2.0/machines/"+query, http.NoBody)
		meter.ServeHTTP(httptest.NewRecorder(), request)
	}
	assert.Equal(t, map[string]int{"id not_status": 2, "": 1}, meter.Lists())
}
