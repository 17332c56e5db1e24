// Package correlation carries one id from a Kubernetes object to MAAS's own request log: the manager sends it with its calls,
// and the service logs it and hands it on. It identifies, and grants nothing.
package correlation

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Header is the key of the id in the metadata of a call.
const Header = "x-correlation-id"

// longest bounds an id, in bytes: it goes into every line of a log. A UID has 36.
const longest = 64

type key struct{}

// NewContext gives a context with the id. One that is empty, too long, or has other characters than letters, digits and
// "._:-" is left out: it may be a stranger's, and goes into logs and headers as it is.
func NewContext(ctx context.Context, id string) context.Context {
	if !valid(id) {
		return ctx
	}
	return context.WithValue(ctx, key{}, id)
}

// FromContext gives the id of the context; empty where there is none.
func FromContext(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}

// UnaryClientInterceptor sends the id of a call's context.
//
//nolint:revive // gRPC names the arguments
func UnaryClientInterceptor(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if id := FromContext(ctx); id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, Header, id)
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// UnaryServerInterceptor puts the id that a caller sent into the context of its call. Streams have none: they are about
// many objects.
func UnaryServerInterceptor(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if sent := metadata.ValueFromIncomingContext(ctx, Header); len(sent) > 0 {
		ctx = NewContext(ctx, sent[0])
	}
	return handle(ctx, req)
}

func valid(id string) bool {
	if id == "" || len(id) > longest {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}
