package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// rpcGate stands before one replica of the service, at an address that stays when the process behind it is replaced. It
// passes calls on unread, and disturbs them.
type rpcGate struct {
	connections

	listener net.Listener
	server   *grpc.Server
	// disturb is asked what is to happen to a call.
	disturb rpcDisturbance

	mu      sync.Mutex
	backend *grpc.ClientConn
}

// rpcDisturbance decides on calls. caller is the address from which the call came.
type rpcDisturbance interface {
	// crossRPC says whether a process dies at this boundary; it is then already cut off.
	crossRPC(g *rpcGate, method, caller string, m moment) bool
	// fate is what else happens to a call.
	fate(ctx context.Context, method string) fate
}

// fate is what happens to a call of which nobody dies.
type fate struct {
	// lost calls arrive and have their effect, and their answer is lost.
	lost bool
	// doubled calls arrive twice.
	doubled bool
}

func newRPCGate(ctx context.Context, d rpcDisturbance) (*rpcGate, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of the service: %w", err)
	}
	g := &rpcGate{listener: listener, disturb: d}
	g.server = grpc.NewServer(
		grpc.ForceServerCodecV2(frames{}), grpc.UnknownServiceHandler(g.forward),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 1, PermitWithoutStream: true}),
	)
	go func() { _ = g.server.Serve(&gatedListener{Listener: listener, connections: &g.connections}) }()
	return g, nil
}

func (g *rpcGate) address() string { return g.listener.Addr().String() }

// connect leads calls to a process of the service from here on.
func (g *rpcGate) connect(address string) error {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to the service at %s: %w", address, err)
	}
	g.mu.Lock()
	g.backend = conn
	g.mu.Unlock()
	g.restore()
	return nil
}

// disconnect breaks what goes through.
func (g *rpcGate) disconnect() {
	g.cut()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.backend != nil {
		_ = g.backend.Close()
	}
	g.backend = nil
}

func (g *rpcGate) close() {
	g.disconnect()
	g.server.Stop()
}

// streaming are the calls with many answers: the first of them is what a process dies after.
var streaming = map[string]bool{
	lxdprovisionerv1.LXDProvisioner_WatchVMs_FullMethodName: true, lxdprovisionerv1.BareMetalProvisioner_WatchMachines_FullMethodName: true,
}

var errCut = status.Error(codes.Unavailable, "the connection is cut") //nolint:forbidigo // it plays the network, not the service

// forward passes a call on: one request, any number of answers.
func (g *rpcGate) forward(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	request := &frame{}
	if err := in.RecvMsg(request); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(in.Context())
	defer cancel()
	caller := ""
	if p, ok := peer.FromContext(ctx); ok {
		caller = p.Addr.String()
	}
	if g.disturb.crossRPC(g, method, caller, beforeSend) {
		return errCut
	}
	fate := g.disturb.fate(ctx, method)
	out, err := g.send(ctx, method, request)
	if err != nil {
		return err
	}
	if fate.doubled {
		go g.again(ctx, method, request)
	}
	var trouble error
	for first := true; ; first = false {
		answer := &frame{}
		if trouble = out.RecvMsg(answer); trouble != nil {
			break
		}
		if first && (g.disturb.crossRPC(g, method, caller, afterEffect) || fate.lost) {
			return errCut
		}
		if err := in.SendMsg(answer); err != nil {
			return err
		}
		if first && streaming[method] {
			g.disturb.crossRPC(g, method, caller, afterAnswer)
		}
	}
	in.SetTrailer(out.Trailer())
	if errors.Is(trouble, io.EOF) {
		trouble = nil
	} else if g.disturb.crossRPC(g, method, caller, afterEffect) {
		return errCut
	}
	if !streaming[method] {
		g.disturb.crossRPC(g, method, caller, afterAnswer)
	}
	return trouble
}

func (g *rpcGate) send(ctx context.Context, method string, request *frame) (grpc.ClientStream, error) { //nolint:ireturn // gRPC has no other type for it
	g.mu.Lock()
	backend := g.backend
	g.mu.Unlock()
	if backend == nil {
		return nil, errCut
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, plain(md))
	}
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	out, err := backend.NewStream(ctx, description, method, grpc.ForceCodecV2(frames{}))
	if err != nil {
		return nil, err
	}
	if err := out.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return out, out.CloseSend()
}

// again delivers a call a second time; nobody hears the answer.
func (g *rpcGate) again(ctx context.Context, method string, request *frame) {
	out, err := g.send(context.WithoutCancel(ctx), method, request)
	for err == nil {
		err = out.RecvMsg(&frame{})
	}
}

// plain leaves out what gRPC sets by itself.
func plain(md metadata.MD) metadata.MD {
	md = md.Copy()
	for key := range md {
		if strings.HasPrefix(key, ":") || strings.HasPrefix(key, "grpc-") || key == "content-type" || key == "user-agent" {
			delete(md, key)
		}
	}
	return md
}

// frame is a message that nobody reads on its way.
type frame struct{ data []byte }

// frames is a codec that leaves messages as they are.
type frames struct{}

// Marshal gives the bytes.
func (frames) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("%T is no frame", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.data)}, nil
}

// Unmarshal keeps the bytes.
func (frames) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("%T is no frame", v)
	}
	f.data = data.Materialize()
	return nil
}

// Name is that of the codec whose messages pass.
func (frames) Name() string { return "proto" }

// gatedListener closes what it accepts while the gate is cut.
type gatedListener struct {
	net.Listener
	*connections
}

// Accept gives the next connection that may live.
func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.add(conn) {
			return &gatedConn{Conn: conn, connections: l.connections}, nil
		}
	}
}

// gatedConn is forgotten when it is closed.
type gatedConn struct {
	net.Conn
	connections *connections
}

// Close forgets the connection.
func (c *gatedConn) Close() error {
	c.connections.remove(c.Conn)
	return nil
}
