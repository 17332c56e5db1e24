package maasmachine

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/apimachinery/pkg/types"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// mostFailed is how often a VM that failed before it was ever deployed is made anew (docs/protocol-coverage.md 3.7).
	mostFailed = 3
	// mostAttempts is from how many on attempts are settled and forgotten before another one is opened: DeleteVM takes a
	// hundred, and an annotation is no archive.
	mostAttempts = 30
	// mostResent is how often an attempt is sent again of which MAAS shows nothing. Each time puts off the refresh that would
	// show what the host has: a VM that LXD made and MAAS does not know refuses every further one of its name.
	mostResent = 3
	// longestLabel is the longest part of a name before "-" and five characters of hash: 63 together.
	longestLabel = 57
)

// attempt is one stored try to make the VM.
type attempt records.Attempt

// leftBehind says whether a VM of the attempt was seen, or may be there unseen, and has to be removed with proof. A refusal
// speaks of one sending alone: what came of an earlier one may still appear.
func (a *attempt) leftBehind() bool {
	return a.GivenUp && (a.SystemID != "" || a.Resent > 0)
}

// failed says whether a VM of the attempt was seen and was of no use.
func (a *attempt) failed() bool { return a.GivenUp && a.SystemID != "" && !a.Yielded }

// proto is the attempt as the service takes it.
func (a *attempt) proto() *lxdprovisionerv1.Attempt {
	p := &lxdprovisionerv1.Attempt{
		Number: a.Number, Name: a.Name, HostId: a.HostID, HostName: a.HostName, SystemId: a.SystemID, Settled: a.Settled,
	}
	if a.SentAt != nil {
		p.SentAt = timestamppb.New(a.SentAt.Time)
	}
	return p
}

// attempts are all attempts of one machine, oldest first.
type attempts []attempt

// attemptsOf reads the attempts of an object.
func attemptsOf(m *infrav1.MaasMachine) (attempts, error) {
	stored, err := records.Attempts(m)
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	all := make(attempts, 0, len(stored))
	for i := range stored {
		all = append(all, attempt(stored[i]))
	}
	return all, nil
}

// stored are the attempts as they are kept.
func (a attempts) stored() []records.Attempt {
	all := make([]records.Attempt, 0, len(a))
	for i := range a {
		all = append(all, records.Attempt(a[i]))
	}
	return all
}

// current is the attempt that counts: the last one. It is nil where there is none.
func (a attempts) current() *attempt {
	if len(a) == 0 {
		return nil
	}
	return &a[len(a)-1]
}

func (a attempts) protos() []*lxdprovisionerv1.Attempt {
	all := make([]*lxdprovisionerv1.Attempt, 0, len(a))
	for i := range a {
		all = append(all, a[i].proto())
	}
	return all
}

// failed counts the VMs that were seen and given up again.
func (a attempts) failed() int {
	n := 0
	for i := range a {
		if a[i].failed() {
			n++
		}
	}
	return n
}

// forgetful drops the attempts that are proved to have made nothing, but for the last, which gives the next one its number.
func (a attempts) forgetful() attempts {
	last := len(a) - 1
	kept := slices.DeleteFunc(slices.Clone(a[:last]), func(one attempt) bool { return one.GivenUp && one.Settled && !one.failed() })
	return append(kept, a[last])
}

// failedHosts are the hosts on which attempts came to nothing within the longest rest, and of these the ones that still
// rest: a host does so for first after its first failure, for twice as long after each further one, and for longest at
// most. due is when the first of those that rest may be asked again; it is zero where none rests.
func (a attempts) failedHosts(now time.Time, first, longest time.Duration) (failed, resting []string, due time.Time) {
	failures, last := map[string]int{}, map[string]time.Time{}
	for i := range a {
		if a[i].GivenUp && a[i].SentAt != nil && now.Sub(a[i].SentAt.Time) < longest {
			failures[a[i].HostID]++
			last[a[i].HostID] = a[i].SentAt.Time
		}
	}
	failed = slices.Sorted(maps.Keys(failures))
	for _, host := range failed {
		rest := longest
		if doublings := failures[host] - 1; doublings < 16 {
			rest = min(first<<doublings, longest)
		}
		until := last[host].Add(rest)
		if !until.After(now) {
			continue
		}
		resting = append(resting, host)
		if due.IsZero() || until.Before(due) {
			due = until
		}
	}
	return failed, resting, due
}

// lateVM is how long after it was sent a VM may appear that MAAS did not admit to (docs/protocol-coverage.md 1.5).
const lateVM = 5 * time.Minute

// mayExist says whether a VM of the attempt exists or may come to exist. One that was refused and never seen does not take
// its host from the group for ever.
func (a *attempt) mayExist(now time.Time) bool {
	switch {
	case !a.GivenUp:
		return true
	case a.Settled:
		return false
	default:
		return a.SystemID != "" || a.SentAt != nil && now.Sub(a.SentAt.Time) < lateVM
	}
}

// attemptName is the name of a machine's VM in one attempt. Dots are mapped before hashing, since MAAS silently replaces
// a dotted name by one of its own; the hash of UID and number keeps the names of two machines and of two attempts apart.
func attemptName(machine string, uid types.UID, number int32) string {
	return dnsLabel(machine) + "-" + shortHash(fmt.Sprintf("%s/%d", uid, number))
}

// dnsLabel makes of a name what MAAS and LXD take as the beginning of a host name.
func dnsLabel(name string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		default:
			return '-'
		}
	}, name)
	if mapped == "" || mapped[0] < 'a' || mapped[0] > 'z' {
		mapped = "m" + mapped
	}
	return strings.TrimRight(mapped[:min(len(mapped), longestLabel)], "-")
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:5]
}

// record is a MaasMachine as it was read uncached, together with its attempts. Only what was read so, or written by
// store, is believed when something is made or deleted (docs/protocol-coverage.md 1.3).
type record struct {
	object   *infrav1.MaasMachine
	attempts attempts
}

// readRecord reads the machine from the API server itself.
func (r *Reconciler) readRecord(ctx context.Context, key client.ObjectKey) (*record, error) {
	object := &infrav1.MaasMachine{}
	if err := r.APIReader.Get(ctx, key, object); err != nil {
		return nil, fmt.Errorf("read MaasMachine %s uncached: %w", key, err)
	}
	all, err := attemptsOf(object)
	if err != nil {
		return nil, err
	}
	return &record{object: object, attempts: all}, nil
}

// store writes the attempts by a patch of their own, with optimistic lock: a new leader with a stale cache would choose a
// second host otherwise. A conflict is returned as an error, which ends the reconcile before anything was sent.
func (r *Reconciler) store(ctx context.Context, rec *record, all attempts, clusterID string) error {
	text, err := records.EncodeAttempts(all.stored())
	if err != nil {
		return err
	}
	return r.annotate(ctx, rec, func(annotations map[string]string) {
		annotations[infrav1.ComposeAttemptsAnnotation] = text
		annotations[infrav1.ClusterIDAnnotation] = clusterID
		if annotations[infrav1.VMNameAnnotation] == "" && len(all) > 0 {
			annotations[infrav1.VMNameAnnotation] = all[0].Name
		}
		if current := all.current(); current != nil && !current.Settled {
			annotations[clusterctlv1.BlockMoveAnnotation] = blockMoveValue
		} else if annotations[clusterctlv1.BlockMoveAnnotation] == blockMoveValue {
			delete(annotations, clusterctlv1.BlockMoveAnnotation)
		}
		rec.attempts = all
	})
}

// annotate patches the annotations of an object that was read uncached, with optimistic lock.
func (r *Reconciler) annotate(ctx context.Context, rec *record, change func(map[string]string)) error {
	before := rec.object.DeepCopy()
	if rec.object.Annotations == nil {
		rec.object.Annotations = map[string]string{}
	}
	change(rec.object.Annotations)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, rec.object, patch); err != nil {
		return fmt.Errorf("store annotations of MaasMachine %s/%s: %w", before.Namespace, before.Name, err)
	}
	return nil
}
