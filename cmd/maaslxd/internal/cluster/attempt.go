package cluster

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/api/records"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Outcome says in a few words what came of an attempt.
func Outcome(a *records.Attempt) string {
	switch {
	case a.Yielded:
		return "yielded to others on a full host"
	case a.GivenUp && a.Settled && a.SystemID == "":
		return "given up, nothing was made"
	case a.GivenUp && a.Settled:
		return "given up, its VM is gone"
	case a.GivenUp:
		return "given up, to be checked"
	case a.SystemID != "":
		return "in use"
	case a.SentAt != nil:
		return "sent, not seen yet"
	default:
		return "stored, not sent"
	}
}

// proto is an attempt as the service takes it.
func proto(a *records.Attempt) *lxdprovisionerv1.Attempt {
	p := &lxdprovisionerv1.Attempt{
		Number: a.Number, Name: a.Name, HostId: a.HostID, HostName: a.HostName, SystemId: a.SystemID, Settled: a.Settled,
	}
	if a.SentAt != nil {
		p.SentAt = timestamppb.New(a.SentAt.Time)
	}
	return p
}
