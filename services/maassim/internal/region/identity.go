package region

import (
	"fmt"
)

// identities hands out ids of every kind. They follow a fixed sequence, so that a run can be repeated.
type identities struct {
	machine, host, vm, iface, link, address, disk, subnet, vlan, ranges, record, event, image, plan, script int

	systems, macs, uuids, names uint32
}

const systemAlphabet = "3478abcdefghkmnpqrstwxy"

// systemID returns six characters of MAAS's alphabet. The sequence has full period, so no id comes twice.
func (i *identities) systemID() string {
	i.systems++
	n := scramble(i.systems, 27)
	id := make([]byte, 6)
	for at := range id {
		id[at] = systemAlphabet[n%uint32(len(systemAlphabet))]
		n /= uint32(len(systemAlphabet))
	}
	return string(id)
}

// mac returns a MAC address of LXD's range.
func (i *identities) mac() string {
	i.macs++
	n := scramble(i.macs, 24)
	return fmt.Sprintf("00:16:3e:%02x:%02x:%02x", n>>16&0xff, n>>8&0xff, n&0xff)
}

// uuid returns a UUID of version 4's form.
func (i *identities) uuid() string {
	i.uuids++
	n := scramble(i.uuids, 32)
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", n, n>>16, n&0xfff, n>>4&0xfff, uint64(n)*0x9e3779b1&0xffffffffffff)
}

// petname returns a hostname as MAAS makes them up.
func (i *identities) petname() string {
	adjectives := [...]string{"quick", "lucky", "sharp", "noble", "calm", "brave", "sunny", "vital", "crisp", "eager", "fair", "glad", "keen"}
	animals := [...]string{"newt", "deer", "hawk", "mole", "crab", "wolf", "swan", "toad", "lynx", "orca", "puma"}
	n := i.names
	i.names++
	const pairs = uint32(len(adjectives) * len(animals)) // the lengths have no common divisor, so that every pair comes
	name := adjectives[n%uint32(len(adjectives))] + "-" + animals[n%uint32(len(animals))]
	if round := n / pairs; round > 0 {
		name += fmt.Sprintf("-%d", round)
	}
	return name
}

// scramble maps 0..2^bits-1 one to one onto itself, in an order that looks random.
func scramble(n uint32, bits uint) uint32 {
	mask := uint32(1)<<bits - 1
	if bits == 32 {
		mask = ^uint32(0)
	}
	n = (n*2654435761 + 12345) & mask
	n ^= n >> (bits / 2)
	return n * 0x2c1b3c6d & mask
}
