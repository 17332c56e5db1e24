package main

import (
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// source is where the code of the images is.
const source = "https://github.com/capmaas/capmaas"

// user is the number that distroless images call nonroot; the manifests demand it too.
const user = "65532:65532"

// build is a program for one platform.
type build struct{ name, file, os, architecture string }

// pack writes the images of a program as one OCI layout, and an SBOM for each platform.
func (r *release) pack(name string) error {
	builds, err := r.builds(name)
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range builds {
		image, err := r.image(b)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: plain{image}, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: b.os, Architecture: b.architecture}},
		})
		if err := r.writeSBOM(b); err != nil {
			return err
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	reference := "capmaas-" + name + ":" + r.version
	if r.registry != "" {
		reference = r.registry + "/" + reference
	}
	file := "capmaas-" + name + "-" + r.version + ".tar"
	if err := r.writeLayout(file, index, reference); err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.log, "%s@%s %s\n", reference, digest, filepath.Join(r.out, file))
	return err
}

// plain is an image that the index lists as no artifact. The library would name the type of its configuration, a field that
// skopeo of Debian 12 does not know: what that pushes would have another digest than the one that is printed here.
type plain struct{ v1.Image }

// ArtifactType gives none.
func (plain) ArtifactType() (string, error) { return "", nil }

// image puts a program onto the base.
func (r *release) image(b build) (v1.Image, error) { //nolint:ireturn // the library has no other type for it
	base, err := r.baseLayer()
	if err != nil {
		return nil, err
	}
	program, err := r.programLayer(b)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	history := v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "tools/images"}
	if image, err = mutate.Append(image, mutate.Addendum{Layer: base, History: history}, mutate.Addendum{Layer: program, History: history}); err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = b.os, b.architecture, v1.Time{Time: r.created}
	file.Config = v1.Config{
		User: user, WorkingDir: "/", Entrypoint: []string{"/" + b.name},
		Env: []string{"PATH=/", "SSL_CERT_FILE=/" + bundlePath},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "capmaas-" + b.name,
			"org.opencontainers.image.source":   source,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.revision,
			"org.opencontainers.image.created":  r.created.Format("2006-01-02T15:04:05Z"),
		},
	}
	return mutate.ConfigFile(image, file)
}

// writeLayout writes the layout that the image tools know: skopeo and podman as oci-archive:FILE, docker and ctr by load
// and import.
func (r *release) writeLayout(file string, index v1.ImageIndex, reference string) error {
	dir, err := os.MkdirTemp(r.out, "layout")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	annotations := map[string]string{"org.opencontainers.image.ref.name": r.version, "io.containerd.image.name": reference}
	if err := path.AppendIndex(index, layout.WithAnnotations(annotations)); err != nil {
		return err
	}
	return r.archive(file, dir)
}
