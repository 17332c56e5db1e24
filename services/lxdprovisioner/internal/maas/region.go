package maas

import (
	"context"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
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

// Version reads the region's version. It proves no key: MAAS tells its version to everybody.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var answer versionJSON
	if err := c.call(ctx, ask{op: opVersion, read: one(&answer)}); err != nil {
		return Version{}, err
	}
	v, _ := parseVersion(answer.Version)
	return v, nil
}

type versionJSON struct {
	Version string `json:"version"`
}

func (v *versionJSON) check() *unfit {
	if _, ok := parseVersion(v.Version); !ok {
		return &unfit{"version", "is no version"}
	}
	return nil
}

// parseVersion reads "3.6.2", "3.7.0~rc1" and "3.8~beta2"; what follows major and minor is ignored.
func parseVersion(text string) (Version, bool) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 || len(text) > maxVersion {
		return Version{}, false
	}
	major, errMajor := strconv.ParseUint(parts[0], 10, 16)
	minorText, _, _ := strings.Cut(parts[1], "~")
	minor, errMinor := strconv.ParseUint(minorText, 10, 16)
	if errMajor != nil || errMinor != nil || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Version{}, false
	}
	return Version{Text: text, Major: int(major), Minor: int(minor)}, true
}

// maxVersion is more than any version is long.
const maxVersion = 64

// Whoami says whose key we have; Denied (MAAS_KEY_REFUSED) where it is nobody's.
func (c *Client) Whoami(ctx context.Context) (User, error) {
	var answer userJSON
	if err := c.call(ctx, ask{op: opWhoami, read: one(&answer)}); err != nil {
		return User{}, err
	}
	return User{Name: answer.Name, Admin: *answer.Admin}, nil
}

type userJSON struct {
	Name  string `json:"username"`
	Admin *bool  `json:"is_superuser"`
}

func (u *userJSON) check() *unfit {
	switch {
	case u.Name == "":
		return missing("username")
	case u.Admin == nil:
		return missing("is_superuser")
	default:
		return nil
	}
}

// labelJSON is a zone or a resource pool.
type labelJSON struct {
	ID          integer `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
}

func (l *labelJSON) check() *unfit {
	switch {
	case !l.ID.set:
		return missing("id")
	case l.ID.value < 0:
		return &unfit{"id", "is below 0"}
	case l.Name == "":
		return missing("name")
	default:
		return nil
	}
}

func (l *labelJSON) ref() inventory.Ref { return inventory.Ref{ID: l.ID.int(), Name: l.Name} }

// Zones lists the availability zones.
func (c *Client) Zones(ctx context.Context) ([]inventory.Zone, error) {
	var answer []labelJSON
	if err := c.call(ctx, ask{op: opZones, read: each(&answer)}); err != nil {
		return nil, err
	}
	out := make([]inventory.Zone, 0, len(answer))
	for _, z := range answer {
		out = append(out, inventory.Zone{Ref: z.ref(), Description: z.Description})
	}
	return out, nil
}

// Pools lists the resource pools. The built-in one has id 0.
func (c *Client) Pools(ctx context.Context) ([]inventory.Pool, error) {
	var answer []labelJSON
	if err := c.call(ctx, ask{op: opPools, read: each(&answer)}); err != nil {
		return nil, err
	}
	out := make([]inventory.Pool, 0, len(answer))
	for _, p := range answer {
		out = append(out, inventory.Pool{Ref: p.ref(), Description: p.Description})
	}
	return out, nil
}

// seconds gives a TTL; nil where MAAS takes the one of the domain or its own.
func seconds(ttl *integer) *int {
	if ttl == nil || !ttl.set {
		return nil
	}
	n := ttl.int()
	return &n
}

type imageJSON struct {
	Name         string `json:"name"`
	Type         string `json:"type"`
	Architecture string `json:"architecture"`
	Title        string `json:"title"`
}

func (i *imageJSON) check() *unfit {
	if i.Name == "" {
		return missing("name")
	}
	return nil
}

// Images lists the images that MAAS has, by the names under which they are deployed. An image may
// be listed once per architecture and kernel, and before it is complete.
func (c *Client) Images(ctx context.Context) ([]inventory.Image, error) {
	var answer []imageJSON
	if err := c.call(ctx, ask{op: opImages, read: each(&answer)}); err != nil {
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
