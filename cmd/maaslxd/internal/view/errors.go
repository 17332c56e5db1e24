package view

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/proto/errorinfo"
)

// Failure is an error with what the service said of it.
type Failure struct {
	Message  string `json:"message"`
	Reason   string `json:"reason,omitempty"`
	Kind     string `json:"kind,omitempty"`
	WhatToDo string `json:"whatToDo,omitempty"`

	fields     []string
	rejections []Rejection
}

// NewFailure takes an error apart.
func NewFailure(err error) *Failure {
	info, ours := errorinfo.From(err)
	if !ours {
		return foreign(err)
	}
	f := &Failure{Message: plain(err), Reason: errorinfo.Word(info.Reason), Kind: string(info.Kind), WhatToDo: advice.ForReason(info.Reason)}
	for _, field := range slices.Sorted(maps.Keys(info.Fields)) {
		f.fields = append(f.fields, field+": "+info.Fields[field])
	}
	for _, r := range info.Placement.GetRejections() {
		f.rejections = append(f.rejections, newRejection(r))
	}
	return f
}

// foreign takes an error that the service did not make.
func foreign(err error) *Failure {
	f := &Failure{Message: plain(err)}
	if errors.Is(err, context.Canceled) {
		f.Message = "interrupted"
		return f
	}
	st, ok := status.FromError(err)
	if !ok {
		return f
	}
	switch st.Code() {
	case codes.Unavailable:
		f.WhatToDo = "see that --address is the service's and that it runs; a TLS error means other certificates (--tls-dir), another --server-name, or a service that speaks in the clear (--insecure)"
	case codes.Unauthenticated, codes.PermissionDenied:
		f.WhatToDo = "use a certificate that may do this: the operator's may read, and change nothing"
	case codes.DeadlineExceeded:
		f.WhatToDo = "give more time with --timeout, or see why MAAS is slow"
	case codes.Unimplemented:
		f.WhatToDo = "use a maaslxd of the service's version"
	default:
	}
	return f
}

// plain is an error's text without gRPC's own words in it.
func plain(err error) string {
	st, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	var wrapped interface{ GRPCStatus() *status.Status }
	if errors.As(err, &wrapped) {
		inner := fmt.Sprintf("rpc error: code = %s desc = %s", wrapped.GRPCStatus().Code(), wrapped.GRPCStatus().Message())
		return strings.Replace(err.Error(), inner, wrapped.GRPCStatus().Message(), 1)
	}
	return st.Message()
}

// Write writes the error, its reason and what to do.
func (f *Failure) Write(p *output.Page) {
	p.Linef("%s %s", p.Toned(output.Bad, "error:"), f.Message)
	reason := f.Reason
	if f.Kind != "" {
		reason += " (" + f.Kind + ")"
	}
	p.Fields([2]string{"reason", reason}, [2]string{"what to do", f.WhatToDo})
	for _, field := range f.fields {
		p.Linef("  %s", field)
	}
	writeRejections(p, f.rejections)
}
