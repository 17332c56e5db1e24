// Package interceptor is what every call passes before and after its handler.
package interceptor

import (
	"fmt"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/proto/correlation"
)

// The sizes of messages, in bytes. A request holds at most 2 MiB of user data, or 10,000 attempts
// that are watched (about 2 MB); an answer at most 10,000 hosts with their storage pools.
const (
	maxRequest = 4 << 20
	maxAnswer  = 32 << 20
	// maxHeaders bounds a caller's metadata.
	maxHeaders = 16 << 10
)

// Config is what the interceptors need; all of it is required but Access.
type Config struct {
	Logger *slog.Logger
	// Audit is the logger of the record of who changed what.
	Audit   *slog.Logger
	Metrics *grpcprom.ServerMetrics
	Clock   func() time.Time
	// Streams ends the streams when the service stops.
	Streams *Streams
	// Access says who may call what; nil lets everybody call everything.
	Access *Access
}

// ServerOptions gives the chain and the limits of messages. The caller's correlation id is in
// the context of all. The order, outermost first:
//
//  1. metrics count every call, whatever becomes of it further in;
//  2. logging sees the status that the caller gets, and names the request's machine;
//  3. audit records who changed what, or was refused to, and with what outcome;
//  4. recovery turns a panic into INTERNAL, which 1 to 3 then see;
//  5. access keeps out who may not make the call, before anything is done for them;
//  6. deadline gives a call an end, so that nothing below it waits for ever;
//  7. streams end with the service (streams only);
//  8. validation keeps what breaks the contract's rules from the handler.
func ServerOptions(cfg Config) ([]grpc.ServerOption, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("compile the contract's rules: %w", err)
	}
	audit := newAudit(cfg)
	unary := []grpc.UnaryServerInterceptor{
		cfg.Metrics.UnaryServerInterceptor(), unaryLogging(cfg.Logger), audit.unary, unaryRecovery(cfg.Logger),
	}
	stream := []grpc.StreamServerInterceptor{
		cfg.Metrics.StreamServerInterceptor(), streamLogging(cfg.Logger), audit.stream, streamRecovery(cfg.Logger),
	}
	if cfg.Access != nil {
		unary, stream = append(unary, unaryAccess(cfg.Access)), append(stream, streamAccess(cfg.Access))
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(correlation.UnaryServerInterceptor),
		grpc.ChainUnaryInterceptor(append(unary, unaryDeadline(cfg.Clock), unaryValidation(validator))...),
		grpc.ChainStreamInterceptor(append(stream, cfg.Streams.interceptor(), streamValidation(validator))...),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxSendMsgSize(maxAnswer),
		grpc.MaxHeaderListSize(maxHeaders),
	}, nil
}
