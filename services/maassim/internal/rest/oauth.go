package rest

import (
	"errors"
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

// oauthNames are what piston looks for as text in the header; without all of them the request does not count as OAuth at all.
var oauthNames = []string{
	"oauth_consumer_key", "oauth_token", "oauth_signature", "oauth_signature_method", "oauth_timestamp", "oauth_nonce",
}

// User is somebody with an API key.
type User struct {
	ID          int
	Name, Email string
	Admin       bool
	// Inactive users have a key that is valid and may do nothing.
	Inactive bool
}

// Key is an API key of a user, written consumer:token:secret.
type Key struct {
	Consumer, Token, Secret string
	User                    *User
}

// String returns the key as MAAS prints it for its owner.
func (k Key) String() string { return k.Consumer + ":" + k.Token + ":" + k.Secret }

// keyring checks the OAuth 1.0 signatures of requests.
type keyring struct {
	keys  []Key
	clock func() time.Time
	// strict keyrings answer 400 to a parameter that is missing, as MAAS does since 3.5; before it was a 401 like the others.
	strict bool
	// reporting keyrings look at all parameters before they check any, as MAAS does since 3.8: without all of them the request does not count as
	// OAuth at all, and a timestamp that is no number is a 400. Before it was an exception that nobody handles.
	reporting bool

	mu            sync.Mutex
	nonces, older map[string]bool // consumer, token and nonce of each signed request of this day and of the day before
	day           time.Time       // when this day began
}

// authenticate returns the user who signed the request, nil for an anonymous one, or MAAS's refusal. form is what was sent in the body.
func (k *keyring) authenticate(r *http.Request, form *Values) (*User, *Error) {
	header := r.Header.Get("Authorization")
	for _, name := range oauthNames {
		if !strings.Contains(header, name) {
			return nil, nil
		}
	}
	p, err := oauthParams(header)
	if k.reporting {
		if problems, bad := report(p); problems != "" {
			return nil, reported(problems, bad)
		}
	}
	if err != nil {
		return nil, refused("Unable to parse OAuth parameters from Authorization header.")
	}
	if v := p["oauth_version"]; v != "" && v != "1.0" {
		return nil, refused(fmt.Sprintf("OAuth version %s not supported.", v))
	}
	key, refusal := k.find(p)
	if refusal != nil {
		return nil, refusal
	}
	for _, name := range []string{"oauth_timestamp", "oauth_nonce"} {
		if _, ok := p[name]; !ok {
			return nil, k.missing(name)
		}
	}
	if err := k.checkTimestamp(p["oauth_timestamp"]); err != nil {
		return nil, err
	}
	if !k.useNonce(key.Consumer + " " + key.Token + " " + p["oauth_nonce"]) {
		return nil, refused("Nonce already used: " + p["oauth_nonce"])
	}
	if err := checkSignature(r, p, form, key); err != nil {
		return nil, err
	}
	return key.User, nil
}

// find looks for the consumer and then for its token.
func (k *keyring) find(p map[string]string) (Key, *Error) {
	for _, name := range []string{"oauth_consumer_key", "oauth_token"} {
		value, ok := p[name]
		if !ok {
			return Key{}, k.missing(name)
		}
		if name == "oauth_consumer_key" && !slices.ContainsFunc(k.keys, func(c Key) bool { return c.Consumer == value }) {
			// The one refusal that MAAS words itself rather than quoting piston's.
			return Key{}, unauthorized("Authorization Error: Invalid API key.")
		}
	}
	at := slices.IndexFunc(k.keys, func(c Key) bool { return c.Consumer == p["oauth_consumer_key"] && c.Token == p["oauth_token"] })
	if at < 0 {
		return Key{}, refused("Invalid access token: " + p["oauth_token"])
	}
	return k.keys[at], nil
}

func (k *keyring) missing(name string) *Error {
	why := "Parameter not found: " + name
	if k.strict {
		return badRequest(why)
	}
	return refused(why)
}

// badRequest is the 400 of newer versions to a signature that they cannot read.
func badRequest(why string) *Error {
	return Text(http.StatusBadRequest, "%s", pyRepr("Bad Request: "+why))
}

// report names what is wrong with the parameters, and says whether one is bad rather than missing.
func report(p map[string]string) (problems string, bad bool) {
	var all []string
	for _, name := range oauthNames {
		value, ok := p[name]
		if !ok {
			all = append(all, name+" is missing")
			continue
		}
		if _, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil && name == "oauth_timestamp" {
			all, bad = append(all, name+" has an unexpected type"), true
		}
	}
	return strings.Join(all, ", "), bad
}

// reported is the answer to bad parameters; where some are only missing the request is one without a signature.
func reported(problems string, bad bool) *Error {
	if !bad {
		return nil
	}
	return badRequest("the following problems were found among the auth params: " + problems)
}

// checkTimestamp refuses what is too old; the future is fine.
func (k *keyring) checkTimestamp(text string) *Error {
	given, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Text(http.StatusInternalServerError, "invalid literal for int() with base 10: %s", pyRepr(text))
	}
	now := k.clock().Unix()
	if now-given > int64(clockSkew.Seconds()) {
		return refused(fmt.Sprintf("Expired timestamp: given %d and now %d has a greater difference than threshold %d", given, now, int(clockSkew.Seconds())))
	}
	return nil
}

// nonceDay is for how long a nonce is remembered at least, and twice it at most; its timestamp is too old long before.
const nonceDay = 24 * time.Hour

func (k *keyring) useNonce(nonce string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.clock(); now.Sub(k.day) >= nonceDay {
		k.nonces, k.older, k.day = make(map[string]bool), k.nonces, now
	}
	if k.nonces[nonce] || k.older[nonce] {
		return false
	}
	k.nonces[nonce] = true
	return true
}

var errHeader = errors.New("a part of the header has no value")

// oauthParams reads the parameters of an Authorization header; values are URL-escaped there. Headers of other schemes hold none.
func oauthParams(header string) (params map[string]string, err error) {
	params = make(map[string]string)
	rest, ok := strings.CutPrefix(header, "OAuth ")
	if !ok {
		return params, nil
	}
	for part := range strings.SplitSeq(rest, ",") {
		if strings.Contains(part, "realm") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			err = errHeader
			continue
		}
		value = strings.Trim(value, `"`)
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		params[name] = value
	}
	return params, err
}

// refused is the 401 to a signed request; MAAS quotes piston's words as Python does.
func refused(why string) *Error { return unauthorized("Authorization Error: " + pyRepr(why)) }

func unauthorized(body string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		ContentType: "text/html; charset=utf-8",
		Body:        []byte(body),
		Header:      http.Header{"Www-Authenticate": {`OAuth realm="OAuth"`}},
	}
}

// pyRepr writes a string as Python's repr does.
func pyRepr(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
	if quote == "'" {
		s = strings.ReplaceAll(s, "'", `\'`)
	}
	return quote + s + quote
}
