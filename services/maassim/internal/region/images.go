package region

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) imageResources() []rest.Resource {
	return []rest.Resource{
		{Path: "boot-resources", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "boot-resources.list", Handle: r.listImages},
			{Method: http.MethodPost, Name: "boot-resources.create", Admin: true, Handle: r.uploadImage},
			{Method: http.MethodGet, Op: "is_importing", Name: "boot-resources.is_importing", Handle: isImporting},
			{Method: http.MethodPost, Op: "import", Name: "boot-resources.import", Admin: true, Handle: leftOut},
			{Method: http.MethodPost, Op: "stop_import", Name: "boot-resources.stop_import", Admin: true, Handle: leftOut},
		}},
		{Path: "boot-resources/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "boot-resources.read", Handle: r.readImage},
			{Method: http.MethodDelete, Name: "boot-resources.delete", Admin: true, Handle: r.deleteImage},
		}},
	}
}

// listImages orders by type, name and architecture.
func (r *Region) listImages(q *rest.Request) (any, error) {
	defer r.begin()()
	kind := orDefault(q.Query.Get("type"), "all")
	known := []string{"synced", "uploaded"}
	if r.minor < 5 {
		known = []string{"synced", "generated", "uploaded"}
	}
	if kind != "all" && !slices.Contains(known, kind) {
		return nil, rest.Text(http.StatusBadRequest, "'%s' is not a valid boot resource type. Available types: ['%s']", kind, strings.Join(known, "', '"))
	}
	sorted := slices.SortedFunc(slices.Values(r.images), func(a, b *image) int {
		if a.Uploaded != b.Uploaded {
			return boolOrder(a.Uploaded)
		}
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Architecture, b.Architecture))
	})
	all := []object{}
	for _, i := range sorted {
		if kind == "all" || kind == "synced" && !i.Uploaded || kind == "uploaded" && i.Uploaded {
			all = append(all, r.imageJSON(i))
		}
	}
	return all, nil
}

// boolOrder puts what is true behind what is not.
func boolOrder(is bool) int {
	if is {
		return 1
	}
	return -1
}

func isImporting(*rest.Request) (any, error) { return false, nil }

func (r *Region) imageOf(q *rest.Request) *image {
	for _, i := range r.images {
		if strconv.Itoa(i.id) == q.Path["id"] {
			return i
		}
	}
	return nil
}

func (r *Region) readImage(q *rest.Request) (any, error) {
	defer r.begin()()
	i := r.imageOf(q)
	if i == nil {
		return nil, rest.NotFound("BootResource")
	}
	return r.imageWithSets(i), nil
}

// deleteImage of an image that is not there is MAAS's mistake, a 500.
func (r *Region) deleteImage(q *rest.Request) (any, error) {
	defer r.begin()()
	i := r.imageOf(q)
	if i == nil {
		return nil, rest.Text(http.StatusInternalServerError, "BootResource matching query does not exist.")
	}
	r.images = slices.DeleteFunc(r.images, func(other *image) bool { return other == i })
	return rest.NoContent, nil
}

// imageWithSets adds what MAAS says of one image alone: what there is of each version.
func (r *Region) imageWithSets(i *image) object {
	o := r.imageJSON(i)
	label := "stable"
	if i.Uploaded {
		label = "uploaded"
	}
	files, size := object{}, 0
	for _, f := range i.files {
		files[f.name] = object{"filename": f.name, "filetype": f.name, "sha256": f.sha256, "size": f.size, "complete": true}
		size += f.size
	}
	o["sets"] = object{i.Version: object{"version": i.Version, "label": label, "size": size, "complete": true, "files": files}}
	return o
}

func (r *Region) imageJSON(i *image) object {
	o := object{
		"id": i.id, "name": i.Name, "architecture": i.Architecture, "type": "Synced", "subarches": "generic", "last_deployed": nil,
		"resource_uri": uri("boot-resources/%d/", i.id),
	}
	if i.Uploaded {
		o["type"], o["title"] = "Uploaded", i.Title
	} else {
		o["platform"], o["supported_platforms"], o["subarches"] = "generic", "generic", subarches(i.Architecture)
	}
	if r.minor >= 5 {
		o["base_image"] = i.base
	}
	return o
}

// subarches are the kernels that a synced image serves besides its own.
func subarches(architecture string) string {
	_, kernel, _ := strings.Cut(architecture, "/")
	switch kernel {
	case "ga-22.04":
		return "generic,hwe-p,hwe-q,hwe-20.04,ga-22.04"
	case "ga-24.04":
		return "generic,hwe-p,hwe-q,hwe-20.04,ga-22.04,hwe-22.04,ga-24.04"
	default:
		return "generic," + kernel
	}
}

// imageFile is a file of an image's version.
type imageFile struct {
	name, sha256 string
	size         int // bytes
}

// fileNames are the names under which MAAS stores what is uploaded as a file type.
var fileNames = map[string]string{
	"tgz": "root-tgz", "tbz": "root-tbz", "txz": "root-txz", "ddtgz": "root-dd", "ddtbz": "root-dd.tbz", "ddtxz": "root-dd.txz",
	"ddtar": "root-dd.tar", "ddraw": "root-dd.raw", "ddbz2": "root-dd.bz2", "ddgz": "root-dd.gz", "ddxz": "root-dd.xz",
}

// uploadImage takes an image with its content in one form, which the simulator forgets, and answers 201 (recording 113). Uploads in pieces are
// not simulated.
func (r *Region) uploadImage(q *rest.Request) (any, error) {
	defer r.begin()()
	var form rest.Form
	name := strings.TrimPrefix(q.Form.Get("name"), "custom/")
	osystem, _, foreign := strings.Cut(name, "/")
	switch {
	case name == "":
		form.Addf("name", "This field is required.")
	case foreign && osystem != "ubuntu" && osystem != "centos":
		form.Addf("name", "Unsupport operating system %s, supported operating systems: ['ubuntu', 'centos', 'custom']", osystem)
	case r.reservedImage(name):
		form.Addf("name", "%s is a reserved name", name)
	}
	kind := fileNames[orDefault(q.Form.Get("filetype"), "tgz")]
	if kind == "" {
		form.Addf("filetype", "Select a valid choice. %s is not one of the available choices.", q.Form.Get("filetype"))
	}
	architecture := q.Form.Get("architecture")
	if architecture == "" {
		form.Addf("architecture", "This field is required.")
	}
	if err := form.Err(); err != nil {
		return nil, err
	}
	if !q.Form.Has("content") || r.minor >= 8 { // which takes pieces alone
		return nil, unsimulated("an upload of an image in pieces")
	}
	content := q.Form.Get("content")
	sum := sha256.Sum256([]byte(content))
	file := imageFile{name: kind, sha256: hex.EncodeToString(sum[:]), size: len(content)}
	i := r.uploaded(name, architecture)
	i.Title, i.Version, i.base, i.files = q.Form.Get("title"), r.clock().UTC().Format("20060102"), q.Form.Get("base_image"), []imageFile{file}
	return rest.Created{Value: r.imageWithSets(i)}, nil
}

// uploaded returns the uploaded image of a name and an architecture, new if there is none.
func (r *Region) uploaded(name, architecture string) *image {
	for _, i := range r.images {
		if i.Uploaded && i.Name == name && i.Architecture == architecture {
			return i
		}
	}
	r.addImage(Image{Name: name, Architecture: architecture, Uploaded: true})
	return r.images[len(r.images)-1]
}

// reservedImage: names of synced images and of operating systems are not for uploads.
func (r *Region) reservedImage(name string) bool {
	return name == "ubuntu" || slices.ContainsFunc(r.images, func(i *image) bool {
		_, series, _ := strings.Cut(i.Name, "/")
		return !i.Uploaded && (i.Name == name || series == name)
	})
}
