package relay_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/relay"
)

func TestRelay_that_is_cut_loses_answers_and_refuses_until_it_is_mended(t *testing.T) {
	t.Parallel()
	began, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/quick", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) {
		close(began)
		<-goOn
		close(done)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r, err := relay.Start(t.Context(), "127.0.0.1:0", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(r.Wait)
	kept, once := &http.Client{Transport: &http.Transport{}}, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(client *http.Client, path string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Address()+path, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	require.NoError(t, get(kept, "/quick"))
	r.Cut()
	assert.Zero(t, r.Felt(), "nobody asks anything on the connection that is kept")
	r.Mend()

	lost := make(chan error, 1)
	go func() { lost <- get(once, "/slow") }()
	<-began
	r.Cut()
	require.Error(t, <-lost, "the answer is lost")
	assert.Equal(t, 1, r.Felt())
	close(goOn)
	<-done // what was asked for is done all the same
	require.Error(t, get(once, "/quick"))
	assert.GreaterOrEqual(t, r.Felt(), 2)

	r.Mend()
	require.NoError(t, get(once, "/quick"))
}
