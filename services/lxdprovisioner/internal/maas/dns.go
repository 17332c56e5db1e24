package maas

import (
	"context"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// userReserved is MAAS's allocation type of an address that no machine holds (IPADDRESS_TYPE.USER_RESERVED).
const userReserved = 4

type recordJSON struct {
	ID        integer    `json:"id"`
	FQDN      string     `json:"fqdn"`
	TTL       *integer   `json:"address_ttl"`
	Addresses []heldJSON `json:"ip_addresses"`
}

type heldJSON struct {
	IP        string  `json:"ip"`
	AllocType integer `json:"alloc_type"`
}

// check: an address that can't be read would be missing in the list that replaces this one.
func (r *recordJSON) check() *unfit {
	switch {
	case !r.ID.set:
		return missing("id")
	case r.FQDN == "":
		return missing("fqdn")
	}
	for i, a := range r.Addresses {
		if a.IP != "" && !address(a.IP).IsValid() {
			return &unfit{"ip_addresses[" + strconv.Itoa(i) + "].ip", "is no address"}
		}
	}
	return nil
}

// Record finds a DNS record by its full name. NotFound (ENDPOINT_NOT_FOUND) where there is none;
// Invalid (DOMAIN_NOT_FOUND) where MAAS doesn't have the domain, which is all behind the first dot.
func (c *Client) Record(ctx context.Context, fqdn string) (inventory.DNSRecord, error) {
	if err := checkFQDN(fqdn); err != nil {
		return inventory.DNSRecord{}, err
	}
	var answer []recordJSON
	if err := c.call(ctx, ask{op: opRecordFind, values: url.Values{"fqdn": {fqdn}}, read: each(&answer)}); err != nil {
		return inventory.DNSRecord{}, err
	}
	for i := range answer {
		if strings.EqualFold(answer[i].FQDN, fqdn) && answer[i].ID.value > 0 {
			return answer[i].record(), nil
		}
	}
	return inventory.DNSRecord{}, fault.New(fault.NotFound, fault.ReasonEndpointNotFound, "MAAS has no DNS record %s", fqdn)
}

// CreateRecord makes a record. ttl is in seconds; nil inherits the domain's. Conflict (NAME_TAKEN)
// where a record of the name exists: find and update it. An address that no machine holds becomes a
// reservation that outlives the record.
func (c *Client) CreateRecord(ctx context.Context, fqdn string, ttl *int, addresses []netip.Addr) (inventory.DNSRecord, error) {
	if err := checkFQDN(fqdn); err != nil {
		return inventory.DNSRecord{}, err
	}
	form, err := recordForm(ttl, addresses)
	if err != nil {
		return inventory.DNSRecord{}, err
	}
	form.Set("fqdn", fqdn)
	return c.record(ctx, ask{op: opRecordCreate, values: form}, func(r *recordJSON) *unfit {
		if !strings.EqualFold(r.FQDN, fqdn) {
			return anothers("fqdn")
		}
		if u := positive(r.ID); u != nil {
			return u.in("id")
		}
		return nil
	})
}

// ReplaceAddresses replaces all addresses of a record, and its TTL; none empties it. NotFound
// (ENDPOINT_NOT_FOUND) where MAAS removed the record with its last machine.
func (c *Client) ReplaceAddresses(ctx context.Context, id int, ttl *int, addresses []netip.Addr) (inventory.DNSRecord, error) {
	if err := checkNumber("DNS record", id); err != nil {
		return inventory.DNSRecord{}, err
	}
	form, err := recordForm(ttl, addresses)
	if err != nil {
		return inventory.DNSRecord{}, err
	}
	return c.record(ctx, ask{op: opRecordUpdate, ids: []string{decimal(id)}, values: form}, func(r *recordJSON) *unfit {
		if r.ID.int() != id {
			return anothers("id")
		}
		return nil
	})
}

// record asks for a change that MAAS answers with the record.
func (c *Client) record(ctx context.Context, a ask, fits func(*recordJSON) *unfit) (inventory.DNSRecord, error) {
	var answer recordJSON
	a.read = that(&answer, func() *unfit { return fits(&answer) })
	if err := c.call(ctx, a); err != nil {
		return inventory.DNSRecord{}, err
	}
	return answer.record(), nil
}

// DeleteRecord deletes a record. NotFound (ENDPOINT_NOT_FOUND) where there is none. Reservations
// that the record made stay: see ReleaseAddress.
func (c *Client) DeleteRecord(ctx context.Context, id int) error {
	if err := checkNumber("DNS record", id); err != nil {
		return err
	}
	return c.call(ctx, ask{op: opRecordDelete, ids: []string{decimal(id)}})
}

// ReleaseAddress frees a reservation of our user (DNSAddress.Reserved). NotFound
// (ENDPOINT_NOT_FOUND) where it is none of ours: free already, a machine's, or another user's.
func (c *Client) ReleaseAddress(ctx context.Context, ip netip.Addr) error {
	if !ip.IsValid() {
		return fault.New(fault.Invalid, fault.ReasonBadRequest, "no address to release")
	}
	return c.call(ctx, ask{op: opAddressFree, values: url.Values{"ip": {ip.String()}}})
}

// recordForm gives the form of a record. Both fields are always sent: MAAS keeps only the last
// address of a list that is left out. Addresses are separated by white space; repeated parameters
// would count once, and a comma is an error.
func recordForm(ttl *int, addresses []netip.Addr) (url.Values, error) {
	texts := make([]string, 0, len(addresses))
	for _, a := range addresses {
		if !a.IsValid() {
			return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "a DNS record can't hold an empty address")
		}
		texts = append(texts, a.String())
	}
	form := url.Values{"ip_addresses": {strings.Join(texts, " ")}, "address_ttl": {""}}
	if ttl != nil {
		if *ttl < 0 {
			return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "a DNS record can't have a TTL of %d s", *ttl)
		}
		form.Set("address_ttl", strconv.Itoa(*ttl))
	}
	return form, nil
}

// checkFQDN refuses names that MAAS can't split into name and domain: it answers 500 to them.
func checkFQDN(fqdn string) error {
	name, domain, ok := strings.Cut(fqdn, ".")
	if !ok || name == "" || domain == "" || strings.ContainsAny(fqdn, " /?&") {
		return fault.New(fault.Invalid, fault.ReasonBadRequest, "%q is not a DNS name with a domain", fqdn)
	}
	return nil
}

func (r *recordJSON) record() inventory.DNSRecord {
	out := inventory.DNSRecord{ID: r.ID.int(), FQDN: r.FQDN, TTL: seconds(r.TTL)}
	for _, a := range r.Addresses {
		if ip := address(a.IP); ip.IsValid() {
			out.Addresses = append(out.Addresses, inventory.DNSAddress{IP: ip, Reserved: a.AllocType.value == userReserved})
		}
	}
	return out
}
