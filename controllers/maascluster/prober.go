package maascluster

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"time"
)

// probeTimeout bounds one probe: an API server that answers does so in milliseconds.
const probeTimeout = 3 * time.Second

// httpsProber probes over HTTPS.
type httpsProber struct{ client *http.Client }

// NewProber makes the Prober of production.
func NewProber() Prober { //nolint:ireturn // the reconciler takes the interface, so that tests need no API servers
	return &httpsProber{client: &http.Client{
		Timeout: probeTimeout,
		Transport: &http.Transport{
			// The certificate is the workload cluster's own, and nothing is sent that could be stolen: only whether an API
			// server answers is of interest.
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // as said above
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answers takes 200, 401 and 403 for an API server that serves: the last two come from one that knows no anonymous users.
func (p *httpsProber) Answers(ctx context.Context, ip string, port int32) bool {
	url := "https://" + net.JoinHostPort(ip, strconv.Itoa(int(port))) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := p.client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusForbidden:
		return true
	default:
		return false
	}
}
