package mtls_test

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

func authority(t *testing.T) *mtlstest.Authority {
	t.Helper()
	a, err := mtlstest.NewAuthority("authority of "+t.Name(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mount(t *testing.T, dir string, by *mtlstest.Authority, s mtlstest.Subject) {
	t.Helper()
	if err := by.Mount(dir, s); err != nil {
		t.Fatal(err)
	}
}

// shake lets both sides shake hands, and gives what the server knows of the caller.
func shake(t *testing.T, server, client *mtls.Credentials) (credentials.AuthInfo, error) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	failed := make(chan error, 1)
	go func() {
		conn, _, err := client.ClientHandshake(t.Context(), "ignored", near)
		if err == nil {
			// A server of TLS 1.3 refuses after the client's handshake.
			_, err = conn.Read(make([]byte, 1))
		}
		failed <- err
	}()
	_, info, err := server.ServerHandshake(far)
	_ = far.Close()
	t.Logf("the caller met: %v", <-failed)
	return info, err
}

func TestCredentials_count_from_the_next_handshake_on(t *testing.T) {
	t.Parallel()
	old, next := authority(t), authority(t)
	serverDir, clientDir := t.TempDir(), t.TempDir()
	mount(t, serverDir, old, mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	mount(t, clientDir, old, mtlstest.Subject{CommonName: "caller", DNSNames: []string{"caller.example"}, URIs: []string{"spiffe://prod/caller"}})
	server, err := mtls.Server(mtls.Config{Dir: serverDir})
	if err != nil {
		t.Fatal(err)
	}
	client, err := mtls.Client(mtls.Config{Dir: clientDir, ServerName: mtls.ServerName})
	if err != nil {
		t.Fatal(err)
	}
	info, err := shake(t, server, client)
	if err != nil {
		t.Fatal(err)
	}
	names := mtls.CallerNames(peer.NewContext(t.Context(), &peer.Peer{AuthInfo: info}))
	if want := []string{"caller", "caller.example", "spiffe://prod/caller"}; !slices.Equal(names, want) {
		t.Errorf("the caller bears %q, not %q", want, names)
	}
	mount(t, serverDir, next, mtlstest.Subject{DNSNames: []string{mtls.ServerName}})
	if _, err := shake(t, server, client); err == nil {
		t.Error("the two have no authority in common any more")
	}
	mount(t, clientDir, next, mtlstest.Subject{CommonName: "caller"})
	if _, err := shake(t, server, client); err != nil {
		t.Errorf("both have the next authority: %v", err)
	}
}

func TestCredentials_tell_until_when_the_files_serve(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	clock := func() time.Time { return now }
	old, err := mtlstest.NewAuthority("old", func() time.Time { return now.Add(-time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	next, err := mtlstest.NewAuthority("next", clock)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	issue := func(s mtlstest.Subject, chain ...*mtlstest.Authority) {
		t.Helper()
		pair, err := next.Issue(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range chain {
			pair.Certificate = append(pair.Certificate, a.PEM...)
		}
		if err := mtlstest.Mount(dir, pair, old, next, old); err != nil {
			t.Fatal(err)
		}
	}
	issue(mtlstest.Subject{CommonName: "caller", Lifetime: time.Hour})
	server, err := mtls.Server(mtls.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	wantEnds := func(what string, certificate time.Time) {
		t.Helper()
		ends := server.Ends()
		if !ends[mtls.CertificateFile].Equal(certificate) || !ends[mtls.AuthorityFile].Equal(now.Add(day)) || len(ends) != 2 {
			t.Errorf("%s: %v, want %s and %s", what, ends, certificate, now.Add(day))
		}
	}
	wantEnds("the certificate ends before the last authority", now.Add(time.Hour))
	issue(mtlstest.Subject{CommonName: "caller", Lifetime: 2 * day})
	wantEnds("it was renewed, and nobody has connected since", now.Add(2*day))
	issue(mtlstest.Subject{CommonName: "caller", Lifetime: 2 * day}, old)
	wantEnds("what leads to the authority ends first", now.Add(day-time.Hour))
	if err := mtlstest.MountFiles(dir, map[string][]byte{mtls.CertificateFile: nil, mtls.KeyFile: nil, mtls.AuthorityFile: nil}); err != nil {
		t.Fatal(err)
	}
	wantEnds("what can't be read does not count", now.Add(day-time.Hour))
}

func TestCredentials_say_which_file_is_missing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "absent")
	_, err := mtls.Server(mtls.Config{Dir: dir})
	for _, name := range []string{mtls.CertificateFile, mtls.KeyFile, mtls.AuthorityFile} {
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("%s is missing, and the error is %v", name, err)
		}
	}
	if _, err := mtls.Client(mtls.Config{Dir: dir}); err == nil {
		t.Error("a client must know whom it wants to meet")
	}
}

func TestCallerNames_of_who_has_proved_nothing_are_none(t *testing.T) {
	t.Parallel()
	for name, caller := range map[string]*peer.Peer{"in_the_clear": {}, "without_a_certificate": {AuthInfo: credentials.TLSInfo{}}} {
		if names := mtls.CallerNames(peer.NewContext(t.Context(), caller)); names != nil {
			t.Errorf("%s: %q", name, names)
		}
	}
	if names := mtls.CallerNames(t.Context()); names != nil {
		t.Errorf("without a peer: %q", names)
	}
}
