package maassim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// shutdownPatience is how long a server that ends waits for calls under way.
const shutdownPatience = 5 * time.Second

// Server is a simulated MAAS that listens.
type Server struct {
	*Sim
	listener net.Listener
	ended    chan struct{}
	err      error // valid once ended is closed
}

// Start builds a simulated MAAS and serves it at cfg.Listen until the context ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	sim, err := New(cfg)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", sim.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", sim.cfg.Listen, err)
	}
	s := &Server{Sim: sim, listener: listener, ended: make(chan struct{})}
	srv := &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute}
	go s.serve(ctx, srv)
	return s, nil
}

// serve runs the server and ends it with the context; Wait waits for it.
func (s *Server) serve(ctx context.Context, srv *http.Server) {
	defer close(s.ended)
	stop := context.AfterFunc(ctx, func() {
		s.Close()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
		defer cancel()
		if err := srv.Shutdown(bounded); err != nil {
			_ = srv.Close() // calls that hang are cut off
		}
	})
	defer stop()
	if err := srv.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.err = fmt.Errorf("serve MAAS: %w", err)
	}
}

// URL returns the URL of MAAS, which ends in /MAAS.
func (s *Server) URL() string { return s.BaseURL() + "/MAAS" }

// BaseURL returns the URL of the server, below which the control endpoint /_sim/ is.
func (s *Server) BaseURL() string { return "http://" + s.listener.Addr().String() }

// Wait returns when the server has ended, with the reason unless it was its context.
func (s *Server) Wait() error {
	<-s.ended
	return s.err
}
