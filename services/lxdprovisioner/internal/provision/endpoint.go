package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// EnsureEndpoint makes the record hold exactly the addresses; ttl is in seconds, nil means
// Limits.EndpointTTL. Only what differs is written, and it says whether anything was. Reservations
// that MAAS made of addresses which no machine held are released before they leave the record.
func (r *MAASRegion) EnsureEndpoint(ctx context.Context, ref EndpointRef, addresses []netip.Addr, ttl *int) (Endpoint, bool, error) {
	wanted := sorted(addresses)
	if ttl == nil {
		ttl = new(r.cfg.Limits.EndpointTTL)
	}
	done, err := r.write(ctx, ref, fmt.Sprint(wanted, *ttl), func(ctx context.Context) (written, error) { return r.ensure(ctx, ref, wanted, ttl) })
	return done.endpoint, done.changed, err
}

// written is what a write came to.
type written struct {
	endpoint Endpoint
	changed  bool
}

// write runs a write of a record to its end, also where its caller is gone: MAAS goes on with what it was
// sent, and would replace what the next caller writes meanwhile by the older set. So the writes of one
// record come one after the other. Callers who ask for the same share one, unless somebody asked for something else meanwhile: what
// is asked for last is what stays.
func (r *MAASRegion) write(ctx context.Context, ref EndpointRef, what string, run func(context.Context) (written, error)) (written, error) {
	turn := r.wishes.turn(ref.FQDN(), what)
	done, err := r.writing.do(ctx, fmt.Sprint(ref.FQDN(), " ", turn), func(ctx context.Context) (written, error) {
		defer r.wishes.fulfilled(ref.FQDN(), turn)
		leave, err := r.records.enter(ctx, ref.FQDN())
		if err != nil {
			return written{}, fault.Wrap(err, fault.Busy, fault.ReasonMAASBusy, "nothing was sent: the DNS record %s is being written", ref.FQDN())
		}
		defer leave()
		return run(ctx)
	})
	if errors.Is(err, errRunsOn) {
		return written{}, fault.New(fault.Busy, fault.ReasonMAASBusy, "the DNS record %s is being written", ref.FQDN()).WithRetryAfter(retrySoon)
	}
	return done, err
}

// wishes number what is asked for of each record, so that the same wish before and after another one is told apart.
type wishes struct {
	mu     sync.Mutex
	number int
	last   map[string]wish
}

type wish struct {
	what string
	turn int
}

// turn gives the number of a wish: the last one's where that was the same and is not fulfilled.
func (w *wishes) turn(record, what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, open := w.last[record]; open && last.what == what {
		return last.turn
	}
	w.number++
	w.last[record] = wish{what: what, turn: w.number}
	return w.number
}

// fulfilled forgets a wish, unless there is a newer one.
func (w *wishes) fulfilled(record string, turn int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last[record].turn == turn {
		delete(w.last, record)
	}
}

func (r *MAASRegion) ensure(ctx context.Context, ref EndpointRef, wanted []netip.Addr, ttl *int) (written, error) {
	record, err := r.cfg.MAAS.Record(ctx, ref.FQDN())
	switch {
	case fault.Is(err, fault.NotFound):
		record, err = r.create(ctx, ref, wanted, ttl)
	case err != nil:
	case sameRecord(record, wanted, ttl):
		return written{endpointOf(ref, record), false}, nil
	default:
		record, err = r.replace(ctx, ref, record, wanted, ttl)
	}
	if err != nil {
		return written{}, fmt.Errorf("keep the DNS record %s: %w", ref.FQDN(), err)
	}
	r.cfg.Logger.InfoContext(ctx, "Wrote DNS record", "record", ref.FQDN(), "addresses", wanted, "ttlSeconds", *ttl)
	return written{endpointOf(ref, record), true}, nil
}

// create makes the record. One that somebody made in the meantime is replaced.
func (r *MAASRegion) create(ctx context.Context, ref EndpointRef, wanted []netip.Addr, ttl *int) (inventory.DNSRecord, error) {
	record, err := r.cfg.MAAS.CreateRecord(ctx, ref.FQDN(), ttl, wanted)
	if !fault.Is(err, fault.Conflict) {
		return record, err
	}
	if record, err = r.cfg.MAAS.Record(ctx, ref.FQDN()); err != nil {
		return record, err
	}
	return r.replace(ctx, ref, record, wanted, ttl)
}

// replace writes the whole set. MAAS removes a record with its last machine, so a record that has
// vanished since it was read is made anew.
func (r *MAASRegion) replace(ctx context.Context, ref EndpointRef, old inventory.DNSRecord, wanted []netip.Addr, ttl *int) (inventory.DNSRecord, error) {
	if err := r.releaseLeftovers(ctx, ref, old, wanted); err != nil {
		return inventory.DNSRecord{}, err
	}
	record, err := r.cfg.MAAS.ReplaceAddresses(ctx, old.ID, ttl, wanted)
	if fault.Is(err, fault.NotFound) {
		record, err = r.cfg.MAAS.CreateRecord(ctx, ref.FQDN(), ttl, wanted)
	}
	return record, err
}

// releaseLeftovers frees the reservations of addresses that leave the record: they would outlive it,
// and block fixed addresses of VMs. It comes before the record is changed, since only the record tells
// a repeat what is still to be freed. MAAS drops a freed address from the record by itself, and the
// record with its last one.
func (r *MAASRegion) releaseLeftovers(ctx context.Context, ref EndpointRef, old inventory.DNSRecord, keep []netip.Addr) error {
	for _, a := range old.Addresses {
		if !a.Reserved || slices.Contains(keep, a.IP) {
			continue
		}
		if err := r.cfg.MAAS.ReleaseAddress(ctx, a.IP); err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("release the leftover reservation of %s: %w", a.IP, err)
		}
		r.cfg.Logger.InfoContext(ctx, "Released leftover reservation", "record", ref.FQDN(), "address", a.IP)
	}
	return nil
}

// GetEndpoint reads the record; NotFound where MAAS has none.
func (r *MAASRegion) GetEndpoint(ctx context.Context, ref EndpointRef) (Endpoint, error) {
	record, err := r.cfg.MAAS.Record(ctx, ref.FQDN())
	if err != nil {
		return Endpoint{}, err
	}
	return endpointOf(ref, record), nil
}

// DeleteEndpoint removes the record and the reservations that it made; absent is success.
func (r *MAASRegion) DeleteEndpoint(ctx context.Context, ref EndpointRef) error {
	_, err := r.write(ctx, ref, "gone", func(ctx context.Context) (written, error) { return written{}, r.remove(ctx, ref) })
	return err
}

func (r *MAASRegion) remove(ctx context.Context, ref EndpointRef) error {
	record, err := r.cfg.MAAS.Record(ctx, ref.FQDN())
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.releaseLeftovers(ctx, ref, record, nil); err != nil {
		return err
	}
	if err := r.cfg.MAAS.DeleteRecord(ctx, record.ID); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("delete the DNS record %s: %w", ref.FQDN(), err)
	}
	r.cfg.Logger.InfoContext(ctx, "Deleted DNS record", "record", ref.FQDN())
	return nil
}

func endpointOf(ref EndpointRef, record inventory.DNSRecord) Endpoint {
	return Endpoint{Ref: ref, Addresses: recordAddresses(record), TTL: record.TTL}
}

func recordAddresses(record inventory.DNSRecord) []netip.Addr {
	addresses := make([]netip.Addr, 0, len(record.Addresses))
	for _, a := range record.Addresses {
		addresses = append(addresses, a.IP)
	}
	return sorted(addresses)
}

func sameRecord(record inventory.DNSRecord, wanted []netip.Addr, ttl *int) bool {
	return record.TTL != nil && *record.TTL == *ttl && slices.Equal(recordAddresses(record), wanted)
}

func sorted(addresses []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(addresses))
	for _, a := range addresses {
		out = append(out, a.Unmap())
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
