package app

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// listeners are what the service listens at.
type listeners struct {
	calls, scrapes net.Listener
	// probes is nil where health has no address of its own.
	probes net.Listener
}

// listen binds every address, or none.
func (s *service) listen(ctx context.Context) (*listeners, error) {
	var bound listeners
	for _, one := range []struct {
		flag, address string
		into          *net.Listener
	}{
		{"--listen", s.cfg.Listen, &bound.calls},
		{"--metrics-addr", s.cfg.MetricsAddr, &bound.scrapes},
		{"--health-addr", s.cfg.HealthAddr, &bound.probes},
	} {
		if one.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", one.address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", one.flag, err), bound.close())
		}
		*one.into = listener
	}
	return &bound, nil
}

func (l *listeners) close() error {
	var errs []error
	for _, listener := range []net.Listener{l.calls, l.scrapes, l.probes} {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	return errors.Join(errs...)
}

func (l *listeners) addresses() Addresses {
	bound := Addresses{GRPC: l.calls.Addr(), Metrics: l.scrapes.Addr()}
	if l.probes != nil {
		bound.Health = l.probes.Addr()
	}
	return bound
}
