package provisionertest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// ReadContract reads a contract of another time from a descriptor image, proto/image.binpb for example. What is named by
// full name, a method or a field that is not marked optional, is left out, so that it stands for an older one.
func ReadContract(path string, without ...string) (*protoregistry.Files, error) {
	content, err := os.ReadFile(path) //nolint:gosec // a test names the file
	if err != nil {
		return nil, fmt.Errorf("read the image: %w", err)
	}
	image := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(content, image); err != nil {
		return nil, fmt.Errorf("read the image %s: %w", path, err)
	}
	left := len(without)
	for _, file := range image.GetFile() {
		left -= prune(file, without)
	}
	if left != 0 {
		return nil, fmt.Errorf("leave out %s: %d of them are not in the image", strings.Join(without, ", "), left)
	}
	files, err := protodesc.NewFiles(image)
	if err != nil {
		return nil, fmt.Errorf("understand the image %s: %w", path, err)
	}
	return files, nil
}

// prune takes methods and fields of top-level messages out of a file, and gives how many.
func prune(file *descriptorpb.FileDescriptorProto, names []string) (pruned int) {
	gone := func(in, name string) bool {
		found := slices.Contains(names, file.GetPackage()+"."+in+"."+name)
		if found {
			pruned++
		}
		return found
	}
	for _, s := range file.GetService() {
		s.Method = slices.DeleteFunc(s.GetMethod(), func(m *descriptorpb.MethodDescriptorProto) bool { return gone(s.GetName(), m.GetName()) })
	}
	for _, m := range file.GetMessageType() {
		m.Field = slices.DeleteFunc(m.GetField(), func(f *descriptorpb.FieldDescriptorProto) bool { return gone(m.GetName(), f.GetName()) })
	}
	return pruned
}

// Skewed is a connection between two sides of which one knows only the contract of another time: fields that it does not
// know are lost both ways, and calls that it does not know are answered as a server does that has never heard of them.
func Skewed(conn grpc.ClientConnInterface, contract *protoregistry.Files) grpc.ClientConnInterface { //nolint:ireturn // generated clients take any
	return &skewed{conn: conn, contract: contract}
}

type skewed struct {
	conn     grpc.ClientConnInterface
	contract *protoregistry.Files
}

// Invoke implements grpc.ClientConnInterface.
func (s *skewed) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	known, err := s.method(method)
	if err != nil {
		return err
	}
	request, response := dynamicpb.NewMessage(known.Input()), dynamicpb.NewMessage(known.Output())
	if err := transfer(args, request); err != nil {
		return err
	}
	if err := s.conn.Invoke(ctx, method, request, response, opts...); err != nil {
		return err
	}
	return know(response, reply)
}

// NewStream implements grpc.ClientConnInterface.
func (s *skewed) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) { //nolint:ireturn // gRPC's interface
	known, err := s.method(method)
	if err != nil {
		return nil, err
	}
	stream, err := s.conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, err
	}
	return &skewedStream{ClientStream: stream, method: known}, nil
}

func (s *skewed) method(name string) (protoreflect.MethodDescriptor, error) { //nolint:ireturn // protobuf's interface
	service, method, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	found, err := s.contract.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	known, ok := found.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return nil, status.Newf(codes.Unimplemented, "unknown method %s for service %s", method, service).Err()
	}
	return known, nil
}

type skewedStream struct {
	grpc.ClientStream

	method protoreflect.MethodDescriptor
}

// SendMsg implements grpc.ClientStream.
func (s *skewedStream) SendMsg(m any) error {
	request := dynamicpb.NewMessage(s.method.Input())
	if err := transfer(m, request); err != nil {
		return err
	}
	return s.ClientStream.SendMsg(request)
}

// RecvMsg implements grpc.ClientStream.
func (s *skewedStream) RecvMsg(m any) error {
	response := dynamicpb.NewMessage(s.method.Output())
	if err := s.ClientStream.RecvMsg(response); err != nil {
		return err
	}
	return know(response, m)
}

// know copies what the contract knows of a response, which has kept the rest as it came.
func know(response *dynamicpb.Message, to any) error {
	known := dynamicpb.NewMessage(response.Descriptor())
	if err := transfer(response, known); err != nil {
		return err
	}
	return transfer(known, to)
}

// transfer copies over the wire, and drops what the target does not know.
func transfer(from, to any) error {
	source, ok := from.(proto.Message)
	target, also := to.(proto.Message)
	if !ok || !also {
		return status.Newf(codes.Internal, "%T and %T are not both messages", from, to).Err()
	}
	content, err := proto.Marshal(source)
	if err != nil {
		return status.Newf(codes.Internal, "write %T: %v", from, err).Err()
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, target); err != nil {
		return status.Newf(codes.Internal, "read %T: %v", to, err).Err()
	}
	return nil
}
