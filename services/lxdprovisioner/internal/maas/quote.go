package maas

import (
	"encoding/base64"
	"strings"
)

const (
	// maxSentence is how much of MAAS's words an error repeats, in bytes.
	maxSentence = 300
	// telling is how many bytes of user data in a row give something away; a join token has 23.
	telling = 16
)

// quote makes one short line of a text that came from outside, with nothing secret in it.
func (ex *exchange) quote(text string) string {
	for _, part := range append([]string{ex.key}, strings.Split(ex.key, ":")...) {
		if part != "" {
			text = strings.ReplaceAll(text, part, "[redacted]")
		}
	}
	text = sentence(text)
	if repeats(text, ex.hidden) {
		return "[not shown: it quotes the user data]"
	}
	return text
}

// sentence makes one short line of a text of MAAS's, which may hold the log of a whole installation: it
// goes on into answers, conditions and events.
func sentence(text string) string {
	text = oneLine(text)
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + "..."
	}
	return text
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
}

// repeats says whether a line holds a telling part of the secret, as it is or in base64.
func repeats(line string, secret []byte) bool {
	if len(secret) == 0 {
		return false
	}
	for _, form := range []string{oneLine(string(secret)), base64.StdEncoding.EncodeToString(secret)} {
		size := min(telling, len(form))
		for i := 0; i+size <= len(line); i++ {
			if strings.Contains(form, line[i:i+size]) {
				return true
			}
		}
	}
	return false
}

// whyUnauthorized says in words of ours why MAAS refused a key, and whether the next request may
// fare better by its new nonce and timestamp. MAAS's own words can't be repeated: they hold the
// secret that would have been right.
func whyUnauthorized(body []byte) (say string, stale bool) {
	text := string(body)
	for _, known := range []struct {
		text, say string
		stale     bool
	}{
		{"Invalid API key", "MAAS knows no such API key (consumer)", false},
		{"Invalid access token", "MAAS knows no such API key (token)", false},
		{"Invalid signature", "the secret of the MAAS API key is wrong", false},
		{"Expired timestamp", "our clock is more than 5 minutes behind MAAS's", true},
		{"Nonce already used", "MAAS has seen this request before", true},
	} {
		if strings.Contains(text, known.text) {
			return known.say, known.stale
		}
	}
	return "MAAS refuses the API key", false
}
