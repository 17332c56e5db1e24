package maassim

import (
	"context"
	"crypto/tls"
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
	secure   net.Listener // nil without TLS
	ca       []byte
	ended    chan struct{}
	err      error // valid once ended is closed
}

// Start builds a simulated MAAS and serves it at cfg.Listen, and at cfg.TLSListen if there is one, until the context ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{ended: make(chan struct{})}
	if err := s.listen(ctx, &cfg); err != nil {
		s.closeListeners()
		return nil, err
	}
	var err error
	if s.Sim, err = New(cfg); err != nil {
		s.closeListeners()
		return nil, err
	}
	go s.serve(ctx, &http.Server{Handler: s.Sim, ReadHeaderTimeout: time.Minute})
	return s, nil
}

func (s *Server) listen(ctx context.Context, cfg *Config) (err error) {
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	if cfg.TLSListen == "" {
		return nil
	}
	plain, err := lc.Listen(ctx, "tcp", cfg.TLSListen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.TLSListen, err)
	}
	s.secure = plain
	host, _, err := net.SplitHostPort(plain.Addr().String())
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.TLSListen, err)
	}
	pair, err := cfg.certificate(host, "localhost")
	if err != nil {
		return err
	}
	s.ca = pemOf(pair)
	s.secure = tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	cfg.TLSURL = "https://" + plain.Addr().String()
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range []net.Listener{s.listener, s.secure} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// serve runs the server and ends it with the context; Wait waits for it.
func (s *Server) serve(ctx context.Context, srv *http.Server) {
	defer close(s.ended)
	shut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(shut)
		s.Close()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
		defer cancel()
		if err := srv.Shutdown(bounded); err != nil {
			_ = srv.Close() // calls that hang are cut off
		}
	})
	defer func() {
		if !stop() {
			<-shut // calls under way are still answered
		}
	}()
	secured := make(chan error, 1)
	if s.secure == nil {
		secured <- http.ErrServerClosed
	} else {
		go func() { secured <- srv.Serve(s.secure) }()
	}
	err := srv.Serve(s.listener)
	if err == nil || errors.Is(err, http.ErrServerClosed) {
		err = <-secured
	} else {
		_ = srv.Close()
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.err = fmt.Errorf("serve MAAS: %w", err)
	}
}

// TLSURL returns the URL of MAAS over TLS, which ends in /MAAS, or "" when it is not served so.
func (s *Server) TLSURL() string {
	if s.secure == nil {
		return ""
	}
	return "https://" + s.secure.Addr().String() + "/MAAS"
}

// CA returns the certificate of the TLS port as PEM, for clients to trust.
func (s *Server) CA() []byte { return s.ca }

// URL returns the URL of MAAS, which ends in /MAAS.
func (s *Server) URL() string { return s.BaseURL() + "/MAAS" }

// BaseURL returns the URL of the server, below which the control endpoint /_sim/ is.
func (s *Server) BaseURL() string { return "http://" + s.listener.Addr().String() }

// Wait returns when the server has ended, with the reason unless it was its context.
func (s *Server) Wait() error {
	<-s.ended
	return s.err
}
