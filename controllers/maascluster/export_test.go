package maascluster

import (
	"time"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
)

// JoinWait is joinWait for silent machines that have been deployed since these times.
func JoinWait(deployed []time.Time, now time.Time, delays provisioner.Delays) time.Duration {
	silent := make([]member, 0, len(deployed))
	for _, at := range deployed {
		silent = append(silent, member{deployed: at})
	}
	return joinWait(silent, now, delays)
}
