package fault

import (
	"maps"
	"net/http"
	"slices"
)

const (
	textPlain = "text/plain; charset=utf-8"
	textHTML  = "text/html; charset=utf-8"
)

// ConflictPage is what MAAS says when the database made it run a request again too often.
const ConflictPage = `<!DOCTYPE html>
<html lang="en">
  <head>
    <title>Error: Conflict Error</title>
  </head>
  <body>
    <h2 class="p-heading--four">
      Conflict error. Try your request again, as it will most likely succeed.
    </h2>
  </body>
</html>
`

// presets are answers of MAAS and of what stands before it, by name. The words of no-rack, nonce-clash, old-timestamp and host-down are from
// recordings; nginx's pages are nginx's own.
var presets = map[string]Fault{
	"db-conflict": {
		Status: http.StatusConflict, Header: map[string]string{"Content-Type": textHTML, "Retry-After": "5"},
		Body: ConflictPage,
	},
	"no-rack": {
		Status: http.StatusServiceUnavailable, Header: map[string]string{"Retry-After": "10"},
		Body: "Unable to connect to any rack controller ; no connections available.",
	},
	"host-down": {
		Status: http.StatusServiceUnavailable,
		Body:   "Unable to compose machine because: Pod 1: Failed to connect to the LXD REST API: [Errno 113] No route to host",
	},
	"driver-timeout": {
		Status: http.StatusServiceUnavailable,
		Body:   "Unable to compose a machine because 'lxd' driver timed out after 120 seconds.",
	},
	"ip-exhausted": {
		Status: http.StatusServiceUnavailable, Body: "Unable to allocate static IP due to address exhaustion.",
	},
	// MAAS 3.4 and 3.5 refuse a power command while the opposite one is under way.
	"power-busy": {
		Status: http.StatusServiceUnavailable,
		Body:   "Unable to change power state to 'off' for node simulated: another action is already in progress for that node.",
	},
	"view-timeout":        {Status: http.StatusGatewayTimeout},
	"bad-gateway":         nginx(http.StatusBadGateway, "502 Bad Gateway"),
	"service-unavailable": nginx(http.StatusServiceUnavailable, "503 Service Temporarily Unavailable"),
	"gateway-timeout":     nginx(http.StatusGatewayTimeout, "504 Gateway Time-out"),
	"too-large":           nginx(http.StatusRequestEntityTooLarge, "413 Request Entity Too Large"),
	"nonce-clash":         unauthorized("Authorization Error: 'Nonce already used: simulated'"),
	"old-timestamp": unauthorized(
		"Authorization Error: 'Expired timestamp: given 1795459929 and now 1795467129 has a greater difference than threshold 300'"),
	"bad-key": unauthorized("Authorization Error: Invalid API key."),
	"secret-leak": unauthorized(
		"Authorization Error: 'Invalid signature. Expected signature base string: &SimulatedLeakedTokenSecret00000'"),
	"forbidden": {Status: http.StatusForbidden},
	"vm-hosts-gone": {
		Status: http.StatusGone, Body: "VM host (KVM) support has been removed from MAAS.",
	},
}

func nginx(status int, title string) Fault {
	return Fault{
		Status: status, Header: map[string]string{"Content-Type": "text/html", "Server": "nginx/1.18.0 (Ubuntu)"},
		Body: "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
			"</h1></center>\r\n<hr><center>nginx/1.18.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n",
	}
}

func unauthorized(body string) Fault {
	return Fault{
		Status: http.StatusUnauthorized, Body: body,
		Header: map[string]string{"Content-Type": textHTML, "WWW-Authenticate": `OAuth realm="OAuth"`},
	}
}

// Presets returns the names of the known refusals, in order.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// Preset returns a known refusal, filled in.
func Preset(name string) Fault { return Fault{Preset: name}.withPreset() }

// withPreset fills in what the preset says and the fault does not.
func (f Fault) withPreset() Fault {
	known, ok := presets[f.Preset]
	if !ok {
		if f.Status != 0 {
			f.Header = withDefault(f.Header)
		}
		return f
	}
	if f.Status == 0 {
		f.Status = known.Status
	}
	if f.Body == "" {
		f.Body = known.Body
	}
	f.Header = withDefault(known.Header, f.Header)
	return f
}

// withDefault adds the media type that most answers of MAAS have; of headers that are given twice the later ones hold.
func withDefault(headers ...map[string]string) map[string]string {
	all := map[string]string{"Content-Type": textPlain}
	for _, header := range headers {
		for name, value := range header {
			all[http.CanonicalHeaderKey(name)] = value
		}
	}
	return all
}
