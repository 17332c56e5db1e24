package rest

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what OAuth 1.0 says and MAAS accepts
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// checkSignature compares the signature with the one that MAAS would have made. Consumers of MAAS have no secret of their own.
func checkSignature(r *http.Request, p map[string]string, form *Values, key Key) *Error {
	method, ok := p["oauth_signature_method"]
	if !ok {
		method = "PLAINTEXT"
	}
	given, ok := p["oauth_signature"]
	plain := "&" + oauthEscape(key.Secret)
	switch {
	case method != "PLAINTEXT" && method != "HMAC-SHA1":
		return refused("Signature method " + method + " not supported try one of the following: PLAINTEXT, HMAC-SHA1")
	case !ok:
		return refused("Missing signature.")
	case method == "PLAINTEXT" && given == plain:
		return nil
	case method == "PLAINTEXT":
		// The real server prints the secret that it expected; clients must survive that without logging it.
		return refused("Invalid signature. Expected signature base string: " + plain)
	}
	base := baseString(r, p, form)
	mac := hmac.New(sha1.New, []byte(plain))
	mac.Write([]byte(base))
	if given != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		return refused("Invalid signature. Expected signature base string: " + base)
	}
	return nil
}

// baseString is what HMAC-SHA1 signs: method, URL and the sorted parameters of header, form and query. Piston takes one value of each
// name: the last of a form, the first of a query.
func baseString(r *http.Request, p map[string]string, form *Values) string {
	params := make(map[string]string)
	if r.Method == http.MethodPost {
		for _, name := range form.Names() {
			params[name] = form.Get(name)
		}
	}
	maps.Copy(params, p)
	query := parseQuery(r.URL.RawQuery)
	for _, name := range query.Names() {
		if all := query.All(name); all[0] != "" {
			params[name] = all[0]
		}
	}
	delete(params, "oauth_signature")
	pairs := make([]string, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, oauthEscape(name)+"="+oauthEscape(params[name]))
	}
	slices.Sort(pairs)
	scheme, host := "http", strings.TrimSuffix(r.Host, ":80")
	if r.TLS != nil {
		scheme, host = "https", strings.TrimSuffix(r.Host, ":443")
	}
	address := scheme + "://" + host + r.URL.EscapedPath()
	return r.Method + "&" + oauthEscape(address) + "&" + oauthEscape(strings.Join(pairs, "&"))
}

// oauthEscape escapes everything but the unreserved characters of RFC 3986.
func oauthEscape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
