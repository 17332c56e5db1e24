// Package maastest does with a simulated MAAS what a user with its key does, over HTTP.
package maastest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

// Client is an administrator of a simulated MAAS. Now tells the time, by which MAAS judges signatures.
type Client struct {
	Server *maassim.Server
	Now    func() time.Time

	nonces atomic.Int64
}

// Deploy takes a machine for itself and deploys an image to it, with user data as MAAS wants them: in base64.
func (c *Client) Deploy(ctx context.Context, systemID, image, userData string) error {
	if err := c.post(ctx, "machines/?op=allocate", url.Values{"system_id": {systemID}}); err != nil {
		return err
	}
	return c.post(ctx, "machines/"+systemID+"/?op=deploy", url.Values{"distro_series": {image}, "user_data": {userData}})
}

// Do lets MAAS do an operation without arguments with a machine, such as power_off or release.
func (c *Client) Do(ctx context.Context, systemID, operation string) error {
	return c.post(ctx, "machines/"+systemID+"/?op="+operation, url.Values{})
}

func (c *Client) post(ctx context.Context, path string, form url.Values) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server.URL()+"/api/2.0/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", c.sign())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return fmt.Errorf("POST %s: %s: %s", path, response.Status, text)
}

func (c *Client) sign() string {
	key := strings.Split(c.Server.APIKey(), ":")
	return fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%s", oauth_timestamp="%d", oauth_nonce="%d"`,
		key[0], key[1], url.QueryEscape("&"+key[2]), c.Now().Unix(), c.nonces.Add(1))
}
