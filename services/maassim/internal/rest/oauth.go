package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clockSkew is how far a request's timestamp may lie behind MAAS's clock (piston's timestamp_threshold).
const clockSkew = 300 * time.Second

// User is somebody with an API key.
type User struct {
	ID          int
	Name, Email string
	Admin       bool
}

// Key is an API key of a user, written consumer:token:secret.
type Key struct {
	Consumer, Token, Secret string
	User                    *User
}

// String returns the key as MAAS prints it for its owner.
func (k Key) String() string { return k.Consumer + ":" + k.Token + ":" + k.Secret }

// keyring checks the OAuth 1.0 PLAINTEXT signatures of requests.
type keyring struct {
	keys  []Key
	clock func() time.Time

	mu     sync.Mutex
	nonces map[string]bool // consumer, token and nonce of every signed request
}

// authenticate returns the user who signed the request, nil for an anonymous one, or the 401 of MAAS.
func (k *keyring) authenticate(r *http.Request) (*User, *Error) {
	header := r.Header.Get("Authorization")
	for _, name := range []string{
		"oauth_consumer_key", "oauth_token", "oauth_signature", "oauth_signature_method", "oauth_timestamp", "oauth_nonce",
	} {
		// Piston looks for the names as text; without all of them the request does not count as OAuth at all.
		if !strings.Contains(header, name) {
			return nil, nil
		}
	}
	p := oauthParams(header)
	if v := p["oauth_version"]; v != "" && v != "1.0" {
		return nil, refused(fmt.Sprintf("'OAuth version %s not supported.'", v))
	}
	if !slices.ContainsFunc(k.keys, func(c Key) bool { return c.Consumer == p["oauth_consumer_key"] }) {
		return nil, refused("Invalid API key.")
	}
	at := slices.IndexFunc(k.keys, func(c Key) bool { return c.Consumer == p["oauth_consumer_key"] && c.Token == p["oauth_token"] })
	if at < 0 {
		return nil, refused(fmt.Sprintf("'Invalid access token: %s'", p["oauth_token"]))
	}
	key := k.keys[at]
	if err := k.checkTimestamp(p["oauth_timestamp"]); err != nil {
		return nil, err
	}
	if !k.useNonce(p["oauth_consumer_key"] + " " + p["oauth_token"] + " " + p["oauth_nonce"]) {
		return nil, refused(fmt.Sprintf("'Nonce already used: %s'", p["oauth_nonce"]))
	}
	if p["oauth_signature"] != "&"+key.Secret {
		// The real server prints the secret that it expected; clients must survive that without logging it.
		return nil, refused(fmt.Sprintf("'Invalid signature. Expected signature base string: &%s'", key.Secret))
	}
	return key.User, nil
}

func (k *keyring) checkTimestamp(text string) *Error {
	given, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return refused(fmt.Sprintf("\"invalid literal for int() with base 10: '%s'\"", text))
	}
	now := k.clock().Unix()
	if now-given > int64(clockSkew.Seconds()) {
		return refused(fmt.Sprintf("'Expired timestamp: given %d and now %d has a greater difference than threshold %d'", given, now, int(clockSkew.Seconds())))
	}
	return nil
}

func (k *keyring) useNonce(nonce string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.nonces[nonce] {
		return false
	}
	k.nonces[nonce] = true
	return true
}

// oauthParams reads the parameters of an Authorization header; values are URL-escaped there.
func oauthParams(header string) map[string]string {
	params := make(map[string]string)
	for part := range strings.SplitSeq(strings.TrimPrefix(header, "OAuth "), ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "realm" {
			continue
		}
		value, err := url.QueryUnescape(strings.Trim(value, `"`))
		if err != nil {
			continue
		}
		params[name] = value
	}
	return params
}

func refused(why string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		ContentType: "text/html; charset=utf-8",
		Body:        []byte("Authorization Error: " + why),
		Header:      http.Header{"Www-Authenticate": {`OAuth realm="OAuth"`}},
	}
}
