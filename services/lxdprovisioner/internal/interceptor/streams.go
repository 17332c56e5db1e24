package interceptor

import (
	"context"
	"errors"
	"sync"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errStopping is the cause of the end of a stream's context when the service stops.
var errStopping = errors.New("the service stops")

// Streams ends every stream when the service stops: a graceful stop waits for them, and a watch has
// no end of its own.
type Streams struct {
	stop     chan struct{}
	stopping sync.Once
}

// NewStreams makes the end of streams.
func NewStreams() *Streams { return &Streams{stop: make(chan struct{})} }

// Stop ends all streams with UNAVAILABLE, those to come too.
func (s *Streams) Stop() { s.stopping.Do(func() { close(s.stop) }) }

func (s *Streams) interceptor() grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, cancel := context.WithCancelCause(stream.Context())
		defer cancel(nil)
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-s.stop:
				cancel(errStopping)
			case <-ended:
			}
		}()
		bound := middleware.WrapServerStream(stream)
		bound.WrappedContext = ctx
		err := handler(srv, bound)
		if errors.Is(context.Cause(ctx), errStopping) {
			return status.Error(codes.Unavailable, errStopping.Error())
		}
		return err
	}
}
