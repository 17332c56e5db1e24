package maas

import (
	"context"
	"strconv"
	"strings"

	"github.com/canonical/gomaasclient/entity"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

var (
	opVersion = operation{name: "version.read", class: short}
	opWhoami  = operation{name: "users.whoami", op: "whoami", class: short}
	opZones   = operation{name: "zones.list", class: short}
	opPools   = operation{name: "resourcepools.list", class: short}
	opDomains = operation{name: "domains.list", class: short}
	opImages  = operation{name: "boot-resources.list", class: short}
)

// Version is the region's version.
type Version struct {
	// Text is as MAAS says it, for example "3.6.2" or "3.7.0~rc1".
	Text         string
	Major, Minor int
}

// User is MAAS's user for our key.
type User struct {
	Name string
	// Admin users may compose, delete and link; a service without that right can do little.
	Admin bool
}

// Domain is a DNS domain of MAAS.
type Domain struct {
	ID   int
	Name string
	// TTL is in seconds; nil where it is MAAS's default.
	TTL     *int
	Default bool
}

// Version reads the region's version. It proves no key: MAAS tells its version to everybody.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var answer *entity.Version
	err := c.call(ctx, opVersion, func(lib library) (err error) {
		answer, err = lib.typed.Version.Get()
		return err
	})
	if err != nil {
		return Version{}, err
	}
	v := Version{Text: answer.Version}
	parts := strings.SplitN(answer.Version, ".", 3)
	if len(parts) < 2 {
		return Version{}, fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS's version %.40q can't be read", answer.Version)
	}
	v.Major, _ = strconv.Atoi(parts[0])
	v.Minor, _ = strconv.Atoi(strings.TrimRight(parts[1], "~abcdefghijklmnopqrstuvwxyz"))
	return v, nil
}

// Whoami says whose key we have; Denied (MAAS_KEY_REFUSED) where it is nobody's.
func (c *Client) Whoami(ctx context.Context) (User, error) {
	var answer *entity.User
	err := c.call(ctx, opWhoami, func(lib library) (err error) {
		answer, err = lib.typed.Users.Whoami()
		return err
	})
	if err != nil {
		return User{}, err
	}
	return User{Name: answer.UserName, Admin: answer.IsSuperUser}, nil
}

// Zones lists the availability zones.
func (c *Client) Zones(ctx context.Context) ([]inventory.Zone, error) {
	var answer []entity.Zone
	err := c.call(ctx, opZones, func(lib library) (err error) {
		answer, err = lib.typed.Zones.Get()
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]inventory.Zone, 0, len(answer))
	for _, z := range answer {
		out = append(out, inventory.Zone{Ref: inventory.Ref{ID: z.ID, Name: z.Name}, Description: z.Description})
	}
	return out, nil
}

// Pools lists the resource pools. The built-in one has id 0.
func (c *Client) Pools(ctx context.Context) ([]inventory.Pool, error) {
	var answer []entity.ResourcePool
	err := c.call(ctx, opPools, func(lib library) (err error) {
		answer, err = lib.typed.ResourcePools.Get()
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]inventory.Pool, 0, len(answer))
	for _, p := range answer {
		out = append(out, inventory.Pool{Ref: inventory.Ref{ID: p.ID, Name: p.Name}, Description: p.Description})
	}
	return out, nil
}

// Domains lists the DNS domains.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	var answer []struct {
		ID      number  `json:"id"`
		Name    string  `json:"name"`
		TTL     *number `json:"ttl"`
		Default bool    `json:"is_default"`
	}
	if err := c.get(ctx, opDomains, "domains", nil, &answer); err != nil {
		return nil, err
	}
	out := make([]Domain, 0, len(answer))
	for _, d := range answer {
		domain := Domain{ID: d.ID.int(), Name: d.Name, Default: d.Default}
		if d.TTL != nil {
			ttl := d.TTL.int()
			domain.TTL = &ttl
		}
		out = append(out, domain)
	}
	return out, nil
}

// Images lists the images that MAAS has, by the names under which they are deployed. An image may
// be listed once per architecture and kernel, and before it is complete.
func (c *Client) Images(ctx context.Context) ([]inventory.Image, error) {
	var answer []struct {
		Name         string `json:"name"`
		Type         string `json:"type"`
		Architecture string `json:"architecture"`
		Title        string `json:"title"`
	}
	if err := c.get(ctx, opImages, "boot-resources", nil, &answer); err != nil {
		return nil, err
	}
	out := make([]inventory.Image, 0, len(answer))
	for _, i := range answer {
		image := inventory.Image{Name: i.Name, Architecture: i.Architecture, Title: i.Title, Custom: i.Type == "Uploaded"}
		// MAAS strips custom/ when an image is uploaded; it keeps the system of "ubuntu/mine".
		if image.Custom && !strings.Contains(image.Name, "/") {
			image.Name = "custom/" + image.Name
		}
		out = append(out, image)
	}
	return out, nil
}
