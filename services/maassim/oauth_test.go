package maassim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const html = "text/html; charset=utf-8"

func whoami(t *testing.T, m *maas, authorization string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/MAAS/api/2.0/users/?op=whoami", nil)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, req)
	return answer{status: w.Code, header: w.Header(), body: w.Body.String()}
}

func TestOAuth_refuses_in_MAAS_order_and_words(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{})
	good := sign(m.APIKey())
	key := strings.Split(m.APIKey(), ":")

	t.Run("recording_003_the_admin_is_a_superuser", func(t *testing.T) {
		o := whoami(t, m, sign(m.APIKey())).object(t)
		assert.Equal(t, map[string]any{
			"username": "admin", "email": "admin@example.com", "is_superuser": true, "is_local": true,
			"resource_uri": "/MAAS/api/2.0/users/admin/",
		}, o)
	})
	t.Run("recording_004_alice_is_not", func(t *testing.T) {
		assert.Equal(t, false, whoami(t, m, sign(m.UserAPIKey())).object(t)["is_superuser"])
	})
	for name, tt := range map[string]struct{ authorization, body string }{
		"recording_006_unknown_consumer": {strings.Replace(good, key[0], "AAAA", 1), "Authorization Error: Invalid API key."},
		"recording_007_unknown_token":    {strings.Replace(good, key[1], "BBBB", 1), "Authorization Error: 'Invalid access token: BBBB'"},
		"recording_008_wrong_secret_shows_the_right_one": {
			strings.Replace(sign(m.APIKey()), key[2], "CCCC", 1),
			"Authorization Error: 'Invalid signature. Expected signature base string: &" + key[2] + "'",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := whoami(t, m, tt.authorization)
			want(t, a, 401, html, tt.body)
			assert.Equal(t, `OAuth realm="OAuth"`, a.header.Get("WWW-Authenticate"))
		})
	}
	for name, authorization := range map[string]string{
		"recording_005_no_header": "", "recording_011_garbage": "OAuth garbage", "recording_012_bearer": "Bearer abc",
	} {
		t.Run(name, func(t *testing.T) {
			a := whoami(t, m, authorization)
			want(t, a, 401, plain, "Forbidden")
			assert.Empty(t, a.header.Get("WWW-Authenticate"))
		})
	}
	t.Run("recording_010_nonce_used_twice", func(t *testing.T) {
		authorization := sign(m.APIKey())
		require.Equal(t, 200, whoami(t, m, authorization).status)
		assert.Contains(t, whoami(t, m, authorization).body, "Authorization Error: 'Nonce already used: nonce")
	})
}

func TestOAuth_recording_009_refuses_a_clock_300_s_behind(t *testing.T) {
	t.Parallel()
	signed := time.Now()
	at := func(behind time.Duration) answer {
		now := time.Unix(signed.Unix(), 0).Add(behind)
		m := start(t, maassim.Config{AuthClock: func() time.Time { return now }})
		stamp := regexp.MustCompile(`oauth_timestamp="\d+"`)
		return whoami(t, m, stamp.ReplaceAllString(sign(m.APIKey()), fmt.Sprintf(`oauth_timestamp="%d"`, signed.Unix())))
	}
	assert.Equal(t, 200, at(300*time.Second).status)
	a := at(301 * time.Second)
	assert.Equal(t, 401, a.status)
	assert.Contains(t, a.body, "Authorization Error: 'Expired timestamp: given ")
	assert.Contains(t, a.body, " has a greater difference than threshold 300'")
}

func TestOAuth_forgets_nonces_after_a_day_or_two(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := start(t, maassim.Config{AuthClock: func() time.Time { return now }})
	once := regexp.MustCompile(`oauth_timestamp="\d+"`).ReplaceAllString(sign(m.APIKey()), fmt.Sprintf(`oauth_timestamp="%d"`, now.AddDate(1, 0, 0).Unix()))
	statuses := []int{}
	for range 4 {
		statuses = append(statuses, whoami(t, m, once).status)
		now = now.Add(24 * time.Hour)
	}
	assert.Equal(t, []int{200, 401, 200, 401}, statuses)
}

func TestDispatch_answers_as_Piston_does(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	alice, nobody := m.as(m.UserAPIKey()), m.as("")

	t.Run("recording_001_version_needs_no_key", func(t *testing.T) {
		a := nobody.get("version/")
		assert.Equal(t, "3.5.4", a.object(t)["version"])
		assert.Len(t, a.header.Get("X-MAAS-API-Hash"), 40)
	})
	t.Run("recording_013_machines_without_a_key", func(t *testing.T) {
		want(t, nobody.get("machines/"), 400, text, "Unrecognised signature: method=GET op=None")
	})
	t.Run("recording_016_unknown_operation", func(t *testing.T) {
		want(t, m.get("machines/?op=nonsense"), 400, text, "Unrecognised signature: method=GET op=nonsense")
	})
	t.Run("recording_017_operation_in_the_form", func(t *testing.T) {
		want(t, m.post("machines/", "op=nonsense"), 400, text, "Unrecognised signature: method=POST op=nonsense")
	})
	t.Run("recording_018_method_that_no_operation_has", func(t *testing.T) {
		a := m.put("machines/", "a=b")
		want(t, a, 405, html, "")
		assert.Equal(t, "GET, POST", a.header.Get("Allow"))
	})
	t.Run("recording_021_no_trailing_slash", func(t *testing.T) {
		want(t, m.get("machines"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/machines.")
	})
	t.Run("recording_046_and_071_admin_only", func(t *testing.T) {
		want(t, alice.get("vm-hosts/1/?op=parameters"), 403, text, "This method is reserved for admin users.")
		want(t, alice.post("vm-hosts/1/?op=compose", ""), 403, text, "This method is reserved for admin users.")
	})
	t.Run("recordings_044_and_072_two_words_for_no_such_host", func(t *testing.T) {
		want(t, m.get("vm-hosts/9999/"), 404, plain, "Not Found")
		want(t, m.post("vm-hosts/9999/?op=compose", ""), 404, plain, "No Pod matches the given query.")
	})
	t.Run("recordings_517_520_521_an_empty_system_id_is_the_whole_list", func(t *testing.T) {
		assert.Len(t, m.get("machines//").list(t), 1)
		assert.Equal(t, 405, m.delete("machines//").status)
		want(t, m.post("machines//?op=deploy", ""), 400, text, "Unrecognised signature: method=POST op=deploy")
	})
	t.Run("pods_is_another_name_for_vm_hosts", func(t *testing.T) {
		assert.Equal(t, m.get("vm-hosts/").body, m.get("pods/").body)
	})
	t.Run("refusals_are_not_counted_and_calls_are", func(t *testing.T) {
		m.ResetRequests()
		alice.post("vm-hosts/1/?op=compose", "")
		m.get("vm-hosts/1/")
		assert.Equal(t, map[string]int{"vm-hosts.read": 1}, m.Requests())
	})
}

func TestDispatch_recordings_074_298_300_body_types(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	multipart := "--b\r\nContent-Disposition: form-data; name=\"hostname\"\r\n\r\nmp-0\r\n--b\r\nContent-Disposition: form-data; name=\"skip_commissioning\"\r\n\r\ntrue\r\n--b--\r\n"
	a := m.do(http.MethodPost, "vm-hosts/1/?op=compose", "multipart/form-data; boundary=b", []byte(multipart))
	id, _ := a.object(t)["system_id"].(string)
	assert.Equal(t, "mp-0", m.machine(id)["hostname"])

	m.claim(id, "a")
	ignored := m.do(http.MethodPost, "machines/"+id+"/?op=set_workload_annotations", "application/json", []byte(`{"key": "value"}`))
	assert.Empty(t, ignored.object(t)["owner_data"])
	want(t, m.do(http.MethodPost, "machines/?op=allocate", "application/json", []byte(`{"system_id": "x"}`)), 500, text, "'dict' object has no attribute 'lists'")
}

func TestVMHostsGone_answers_410_to_everything_about_them(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.VMHostsGone = true
	m := start(t, cfg)
	for _, path := range []string{"vm-hosts/", "vm-hosts/1/", "pods/"} {
		want(t, m.get(path), 410, text, "VM host (KVM) support has been removed from MAAS.")
	}
	assert.Equal(t, 200, m.get("machines/").status)
}
