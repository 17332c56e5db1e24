package interceptor

import (
	"context"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

func unaryValidation(validator protovalidate.Validator) grpc.UnaryServerInterceptor {
	check := middleware.UnaryServerInterceptor(validator)
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		response, err := check(ctx, request, info, handler)
		return response, refusal(err)
	}
}

func streamValidation(validator protovalidate.Validator) grpc.StreamServerInterceptor {
	check := middleware.StreamServerInterceptor(validator)
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return refusal(check(srv, stream, info, handler))
	}
}

// refusal gives the middleware's refusal our ErrorInfo and, as BadRequest, the paths of the fields.
// Every other error stays as it is.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	for _, detail := range status.Convert(err).Details() {
		violations, ok := detail.(*validate.Violations)
		if !ok {
			continue
		}
		var fields []*errdetails.BadRequest_FieldViolation
		var sentences []string
		for _, v := range violations.GetViolations() {
			path := protovalidate.FieldPathString(v.GetField())
			fields = append(fields, &errdetails.BadRequest_FieldViolation{Field: path, Description: v.GetMessage()})
			sentences = append(sentences, path+": "+v.GetMessage())
		}
		return server.BadRequest(strings.Join(sentences, "; "), fields)
	}
	return err
}
