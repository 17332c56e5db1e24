package maassim_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestStart_answers_what_is_under_way_before_it_ends(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server, err := maassim.Start(ctx, maassim.DefaultConfig(1, 1, 0))
	require.NoError(t, err)
	dial := func() (net.Conn, error) {
		return new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.BaseURL(), "http://"))
	}
	conn, err := dial()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /MAAS/api/2.0/zones/ HTTP/1.1\r\nHost: maas\r\nAuthorization: %s\r\nContent-Type: %s\r\nContent-Length: 9\r\n"+
		"Expect: 100-continue\r\n\r\n", sign(server.APIKey()), form)
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "the call is under way and reads its body")

	ended := make(chan error, 1)
	cancel()
	go func() { ended <- server.Wait() }()
	require.Eventually(t, func() bool {
		refused, err := dial()
		if err == nil {
			_ = refused.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "nobody else is served")
	assert.Never(t, func() bool { return len(ended) > 0 }, 100*time.Millisecond, 5*time.Millisecond)
	_, err = fmt.Fprint(conn, "name=last")
	require.NoError(t, err)
	_, err = in.ReadString('\n') // the empty line after "100 Continue"
	require.NoError(t, err)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, <-ended)
}

func TestDefaultConfig_makes_thousands_of_hosts(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(2000, 3, 0))
	assert.Len(t, m.get("machines/?hostname=lxd-200&hostname=lxd-201&hostname=lxd-2000").list(t), 3)
	addresses := func(host string) int {
		list := m.get("machines/?hostname=" + host).list(t)
		return len(list[0]["ip_addresses"].([]any))
	}
	assert.Equal(t, []int{2, 2, 1, 1}, []int{addresses("lxd-1"), addresses("lxd-200"), addresses("lxd-201"), addresses("lxd-2000")})
}
