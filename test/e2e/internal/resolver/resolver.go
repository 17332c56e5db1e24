// Package resolver is the name server of a MAAS rack controller: it answers from MAAS's DNS records, as BIND does, with the
// addresses of a name in an order that changes.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl is how long an answer holds, in seconds. Nobody here caches.
const ttl = 5

// Lookup gives the addresses of a name without its final dot, and whether there is such a name.
type Lookup func(name string) ([]netip.Addr, bool)

// Resolver answers queries.
type Resolver struct{ ended chan struct{} }

// Start answers at the address until the context ends.
func Start(ctx context.Context, address netip.AddrPort, lookup Lookup) (*Resolver, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address.String())
	if err != nil {
		return nil, fmt.Errorf("listen for DNS at %s: %w", address, err)
	}
	r := &Resolver{ended: make(chan struct{})}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	go func() {
		defer close(r.ended)
		serve(conn, lookup)
	}()
	return r, nil
}

// Wait waits until it has ended.
func (r *Resolver) Wait() { <-r.ended }

func serve(conn net.PacketConn, lookup Lookup) {
	buffer := make([]byte, 4096)
	for {
		n, peer, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a peer that went away
		}
		if out, err := answer(buffer[:n], lookup); err == nil {
			_, _ = conn.WriteTo(out, peer)
		}
	}
}

// answer answers one query; what is no query gets none.
func answer(query []byte, lookup Lookup) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	addresses, known := lookup(strings.ToLower(strings.TrimSuffix(question.Name.String(), ".")))
	code := dnsmessage.RCodeSuccess
	if !known {
		code = dnsmessage.RCodeNameError
	}
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true, RCode: code,
		},
		Questions: []dnsmessage.Question{question},
	}
	for _, at := range rand.Perm(len(addresses)) {
		if body := resource(addresses[at], question.Type); body != nil {
			head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: head, Body: body})
		}
	}
	return message.Pack()
}

// resource is an address as an answer to a question of a kind, or nil where it is none.
func resource(address netip.Addr, kind dnsmessage.Type) dnsmessage.ResourceBody { //nolint:ireturn // dnsmessage's own
	switch {
	case address.Is4() && kind == dnsmessage.TypeA:
		return &dnsmessage.AResource{A: address.As4()}
	case address.Is6() && kind == dnsmessage.TypeAAAA:
		return &dnsmessage.AAAAResource{AAAA: address.As16()}
	}
	return nil
}
