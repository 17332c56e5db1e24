package maascluster_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/controllers/maascluster"
)

func TestProber_X8_2_takes_200_401_and_403_of_readyz_for_an_API_server(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: true, 401: true, 403: true, 302: false, 404: false, 500: false, 503: false} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}))
			t.Cleanup(server.Close)
			host, port, err := net.SplitHostPort(server.Listener.Addr().String())
			require.NoError(t, err)
			number, err := strconv.ParseInt(port, 10, 32)
			require.NoError(t, err)
			assert.Equal(t, want, maascluster.NewProber().Answers(t.Context(), host, int32(number)))
		})
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	number, err := strconv.ParseInt(port, 10, 32)
	require.NoError(t, err)
	assert.False(t, maascluster.NewProber().Answers(t.Context(), "127.0.0.1", int32(number)), "nobody listens")
}
