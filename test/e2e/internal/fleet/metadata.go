package fleet

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// metadataPort is the port at which a rack controller passes metadata on.
const metadataPort = 5248

// metadataURL is where a machine fetches its user data.
var metadataURL = fmt.Sprintf("http://%s/MAAS/metadata/latest/user-data", netip.AddrPortFrom(world.Rack, metadataPort))

// serveMetadata serves every machine its own user data until it is stopped. MAAS calls a machine Deployed once it has them.
func (f *Fleet) serveMetadata(ctx context.Context) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", netip.AddrPortFrom(world.Rack, metadataPort).String())
	if err != nil {
		return nil, fmt.Errorf("serve metadata: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(f.userData), ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			f.Sayf("the metadata server has ended: %v", err)
		}
	}()
	return func() {
		_ = server.Close() // who still asks is a machine that has ended
		<-ended
	}, nil
}

func (f *Fleet) userData(w http.ResponseWriter, r *http.Request) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.bodies {
		if b.address != peer.Addr() || b.dead {
			continue
		}
		decoded, err := base64.StdEncoding.DecodeString(b.userData)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(decoded) // a machine that went away asks no more
		if !b.fetched {
			b.fetched = true
			f.finish(b, maassim.Ending{})
		}
		return
	}
	http.Error(w, "no machine has this address", http.StatusNotFound)
}
