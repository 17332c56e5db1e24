package maassim_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// oauthHeader builds a header from pairs.
func oauthHeader(pairs ...string) string {
	parts := make([]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, fmt.Sprintf(`%s="%s"`, pairs[i], pairs[i+1]))
	}
	return "OAuth " + strings.Join(parts, ", ")
}

func TestOAuth_checks_come_in_MAAS_order(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{Version: "3.4"})
	key := strings.Split(m.APIKey(), ":")
	now := fmt.Sprint(time.Now().Unix())
	header := func(version, consumer, token, stamp, nonce, method, signature string) string {
		return oauthHeader("oauth_version", version, "oauth_consumer_key", consumer, "oauth_token", token, "oauth_timestamp", stamp,
			"oauth_nonce", nonce, "oauth_signature_method", method, "oauth_signature", url.QueryEscape(signature))
	}
	for _, tt := range []struct{ name, header, body string }{
		{"version_first", header("2.0", "x", "x", "0", "n", "y", "z"), `Authorization Error: 'OAuth version 2.0 not supported.'`},
		{"then_the_consumer", header("1.0", "x", "x", "0", "n", "y", "z"), "Authorization Error: Invalid API key."},
		{"then_the_token", header("1.0", key[0], "it's", "0", "n", "y", "z"), `Authorization Error: "Invalid access token: it's"`},
		{"then_the_timestamp", header("1.0", key[0], key[1], "0", "n", "y", "z"), "Authorization Error: 'Expired timestamp: given 0 and now "},
		{"then_the_nonce_which_this_uses_up", header("1.0", key[0], key[1], now, "once", "y", "z"), "Authorization Error: 'Signature method y not supported"},
		{"so_that_it_is_used", header("1.0", key[0], key[1], now, "once", "y", "z"), "Authorization Error: 'Nonce already used: once'"},
		{"then_the_signature", header("1.0", key[0], key[1], now, "twice", "PLAINTEXT", "&z"), "Authorization Error: 'Invalid signature. Expected signature base string: &" + key[2]},
		{"a_part_without_a_value", header("1.0", key[0], key[1], now, "n", "y", "z") + ", loose", "Authorization Error: 'Unable to parse OAuth parameters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := whoami(t, m, tt.header)
			assert.Equal(t, []any{401, html, `OAuth realm="OAuth"`}, []any{a.status, a.header.Get("Content-Type"), a.header.Get("WWW-Authenticate")})
			assert.True(t, strings.HasPrefix(a.body, tt.body), a.body)
		})
	}
	t.Run("a_future_timestamp_is_fine", func(t *testing.T) {
		ahead := fmt.Sprint(time.Now().Add(time.Hour).Unix())
		assert.Equal(t, 200, whoami(t, m, header("1.0", key[0], key[1], ahead, "future", "PLAINTEXT", "&"+key[2])).status)
	})
	t.Run("a_timestamp_that_is_no_number_is_a_500", func(t *testing.T) {
		want(t, whoami(t, m, header("1.0", key[0], key[1], "now", "n", "PLAINTEXT", "z")), 500, text, "invalid literal for int() with base 10: 'now'")
	})
	t.Run("realm_is_ignored_and_version_may_be_missing", func(t *testing.T) {
		h := oauthHeader("realm", "MAAS API", "oauth_consumer_key", key[0], "oauth_token", key[1], "oauth_timestamp", now, "oauth_nonce", "again",
			"oauth_signature_method", "PLAINTEXT", "oauth_signature", url.QueryEscape("&"+key[2]))
		assert.Equal(t, 200, whoami(t, m, h).status)
	})
}

func TestOAuth_a_missing_parameter_by_version(t *testing.T) {
	t.Parallel()
	for version, expected := range map[string]struct {
		status int
		body   string
	}{
		"3.4": {401, "Authorization Error: 'Parameter not found: oauth_nonce'"},
		"3.5": {400, "'Bad Request: Parameter not found: oauth_nonce'"},
		"3.8": {401, "Forbidden"}, // it is none
	} {
		m := start(t, maassim.Config{Version: version})
		header := strings.Replace(sign(m.APIKey()), "oauth_nonce=", "x_oauth_nonce=", 1) // still there as text
		a := whoami(t, m, header)
		assert.Equal(t, expected.status, a.status, version)
		assert.Equal(t, expected.body, a.body, version)
	}
}

func TestOAuth_MAAS_3_8_reports_a_timestamp_that_is_no_number(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{Version: "3.8"})
	const report = "'Bad Request: the following problems were found among the auth params: "
	header := regexp.MustCompile(`oauth_timestamp="[^"]*"`).ReplaceAllString(sign(m.APIKey()), `oauth_timestamp="now"`)
	want(t, whoami(t, m, header), 400, text, report+"oauth_timestamp has an unexpected type'")
	header = strings.Replace(header, "oauth_nonce=", "x_oauth_nonce=", 1)
	want(t, whoami(t, m, header), 400, text, report+"oauth_timestamp has an unexpected type, oauth_nonce is missing'")
	want(t, whoami(t, m, sign(m.APIKey())+", loose"), 401, html, "Authorization Error: 'Unable to parse OAuth parameters from Authorization header.'")
	assert.Equal(t, 200, whoami(t, m, sign(m.APIKey())).status)
}

// escape is OAuth's: everything but unreserved characters.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func TestOAuth_takes_HMAC_SHA1_over_the_form(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{})
	key := strings.Split(m.APIKey(), ":")
	address := m.base + "/MAAS/api/2.0/zones/"
	post := func(nonce, signed, sent string) answer {
		stamp := fmt.Sprint(time.Now().Unix())
		parameters := strings.Join([]string{
			"description=" + escape("a & b"), "name=" + signed, "oauth_consumer_key=" + key[0], "oauth_nonce=" + nonce,
			"oauth_signature_method=HMAC-SHA1", "oauth_timestamp=" + stamp, "oauth_token=" + key[1], "oauth_version=1.0",
		}, "&")
		mac := hmac.New(sha1.New, []byte("&"+key[2]))
		mac.Write([]byte("POST&" + escape(address) + "&" + escape(parameters)))
		signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("name="+sent+"&description=a+%26+b"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", form)
		req.Header.Set("Authorization", oauthHeader("oauth_version", "1.0", "oauth_consumer_key", key[0], "oauth_token", key[1], "oauth_timestamp", stamp,
			"oauth_nonce", nonce, "oauth_signature_method", "HMAC-SHA1", "oauth_signature", escape(signature)))
		return m.send(req)
	}
	assert.Equal(t, "a & b", post("h1", "z1", "z1").object(t)["description"])
	a := post("h2", "z2", "z3")
	assert.Equal(t, 401, a.status)
	assert.Contains(t, a.body, "Invalid signature. Expected signature base string: POST&http%3A%2F%2F127.0.0.1")
	assert.NotContains(t, a.body, key[2], "unlike with PLAINTEXT")
}

func TestUsers_inactive_ones_may_nothing_and_one_may_have_two_keys(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{Users: []maassim.UserConfig{
		{Name: "bob", Inactive: true, APIKey: "c3:t3:s3"}, {Name: "admin", APIKey: "c4:t4:s4"},
	}})
	want(t, m.as("c3:t3:s3").get("zones/"), 403, text, "User is not allowed access to this API.")
	assert.Equal(t, true, m.as("c4:t4:s4").get("users/?op=whoami").object(t)["is_superuser"])
	_, err := maassim.New(maassim.Config{Users: []maassim.UserConfig{{Name: "x", APIKey: "y"}}})
	require.ErrorContains(t, err, "user x: API key")
}

func TestDispatch_where_op_may_stand(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	id := m.compose("op-0", "")
	assert.Equal(t, "admin", m.get("users/op-whoami").object(t)["username"], "at the end of the path, without a slash")
	want(t, m.get("maas/op-get_config/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/maas/op-get_config/.")
	want(t, m.get("users/op-nonsense"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/users/op-nonsense.")
	assert.Equal(t, "off", m.get("machines/" + id + "/op-query_power_state").object(t)["state"])
	want(t, m.post("machines/"+id+"/", "op=nonsense"), 400, text, "Unrecognised signature: method=POST op=nonsense")
	want(t, m.post("machines/"+id+"/?op=bad", "op=release"), 400, text, "Unrecognised signature: method=POST op=bad") // the query wins
	assert.Equal(t, 200, m.post("machines/"+id+"/?op=", "op=release").status, "an empty one in the query is none")
	want(t, m.put("machines/"+id+"/", "op=release"), 400, text, "Unrecognised signature: method=PUT op=release")
	want(t, m.get("machines/"+id+"/?op=release"), 400, text, "Unrecognised signature: method=GET op=release") // a POST operation
}

func TestDispatch_anonymous_rules(t *testing.T) {
	t.Parallel()
	nobody := start(t, maassim.DefaultConfig(1, 1, 0)).as("")
	want(t, nobody.put("machines/", "a=b"), 401, plain, "Forbidden") // the anonymous handler has no PUT
	want(t, nobody.get("vm-hosts/"), 401, plain, "Forbidden")
	bad := nobody.as("a:b:c")
	assert.Equal(t, 200, bad.get("version/").status, "version looks at no key")
	assert.Equal(t, "Authorization", bad.get("version/").header.Get("Vary"))
}

func TestDispatch_formats_and_what_is_not_simulated(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	assert.Equal(t, 200, m.get("zones/?format=json").status)
	want(t, m.get("zones/?format=xml"), 400, plain, "Invalid output format specified 'xml'.")
	assert.NotEmpty(t, m.get("zones/?format=xml").header.Get("X-MAAS-API-Hash"))
	want(t, m.get("dhcp-snippets/"), 501, text, "The simulator does not have MAAS's dhcp-snippets.")
	want(t, m.get("nodes/abc123/raids/"), 501, text, "The simulator does not have MAAS's raids of a node.")
	want(t, m.get("nosuchresource/"), 404, text, "Unknown API endpoint: /MAAS/api/2.0/nosuchresource/.") // recording 023
	want(t, m.do(http.MethodPatch, "machines/", form, []byte("a=b")), 405, html, "")                     // recording 020
}

func TestDispatch_bodies_by_type_and_operation(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	js := "application/json"
	a := m.do(http.MethodPost, "vm-hosts/1/?op=compose", js, []byte(`{"hostname": "js-0", "cores": 2, "skip_commissioning": true, "pool": null}`)) // recording 073
	id, _ := a.object(t)["system_id"].(string)
	assert.InDelta(t, 2, m.machine(id)["cpu_count"], 0)
	assert.Equal(t, "Ready", m.machine(id)["status_name"])
	assert.Equal(t, "z1", m.do(http.MethodPost, "zones/", js, []byte(`{"name": "z1"}`)).object(t)["name"], "create reads request.data")
	want(t, m.do(http.MethodPost, "zones/", js, []byte(`{"name": `)), 400, plain, "Bad Request")
	want(t, m.do(http.MethodPost, "zones/", "text/csv", []byte("name,z2")), 500, text, "'NoneType' object has no attribute 'get'")
	want(t, m.do(http.MethodPost, "machines/?op=release", js, []byte(`{"machines": []}`)), 500, text, "'dict' object has no attribute 'getlist'")
	assert.Equal(t, 400, m.do(http.MethodPost, "zones/", "", []byte("name=z3")).status, "a body of no type is no form")
}

func TestDispatch_a_stray_percent_sign_is_itself(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	for sent, stored := range map[string]string{
		"100%25": "100%", "100%": "100%", "50%+off": "50% off", "%zz%41%": "%zzA%", "%4": "%4", "%e4%C3%A4%": "\ufffdä%",
	} {
		assert.Equal(t, stored, m.put("zones/default/", "description="+sent).object(t)["description"], sent)
	}
	assert.Empty(t, m.get("machines/?hostname=100%").list(t))
}

func TestDispatch_a_body_that_is_too_large_gets_nginx_page(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.Config{})
	for name, length := range map[string]int64{"announced": 64<<20 + 1, "streamed": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/MAAS/api/2.0/zones/", io.LimitReader(zeros{}, 64<<20+1))
			req.ContentLength = length
			req.Header.Set("Content-Type", form) // nobody signed it: nginx does not look
			w := httptest.NewRecorder()
			m.ServeHTTP(w, req)
			assert.Equal(t, []any{413, "text/html", ""}, []any{w.Code, w.Header().Get("Content-Type"), w.Header().Get("Vary")})
			assert.Contains(t, w.Body.String(), "413 Request Entity Too Large")
		})
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestVersions_are_named_in_full_and_have_a_hash_each(t *testing.T) {
	t.Parallel()
	hashes := make(map[string]bool)
	for version, full := range map[string]string{"3.4": "3.4.10", "3.5": "3.5.4", "3.6": "3.6.2", "3.7": "3.7.1", "3.8": "3.8.0~beta6"} {
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.Version = version
		m := start(t, cfg)
		assert.Equal(t, full, m.get("version/").object(t)["version"])
		hash := m.get("zones/").header.Get("X-MAAS-API-Hash")
		assert.Regexp(t, "^[0-9a-f]{40}$", hash)
		assert.Equal(t, hash, m.get("version/").header.Get("X-MAAS-API-Hash"))
		hashes[hash] = true
		assert.Equal(t, 200, m.get("vm-hosts/").status, version)
	}
	assert.Len(t, hashes, 5)
}

func TestTLS_the_plain_port_redirects_except_what_machines_need(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.TLSListen = "127.0.0.1:0"
	server, err := maassim.Start(t.Context(), cfg)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(server.CA()))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	ask := func(method, address string) (status int, location string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", sign(server.APIKey()))
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode, resp.Header.Get("Location")
	}
	status, _ := ask(http.MethodGet, server.TLSURL()+"/api/2.0/zones/")
	assert.Equal(t, 200, status)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		status, location := ask(method, server.URL()+"/api/2.0/vm-hosts/1/?op=compose")
		assert.Equal(t, 301, status)
		assert.Equal(t, server.TLSURL()+"/api/2.0/vm-hosts/1/?op=compose", location)
	}
	status, _ = ask(http.MethodGet, server.URL()+"/api/2.0/machines/")
	assert.Equal(t, 200, status, "machines/ is still served there")
	_, err = maassim.Start(t.Context(), maassim.Config{TLSListen: "127.0.0.1:0", TLSCertificate: "nosuch", TLSKey: "nosuch"})
	require.ErrorContains(t, err, "read the certificate")
}
