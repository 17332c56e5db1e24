package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// ours is the prefix of the modules of this repository, which are released together.
const ours = "github.com/capmaas/capmaas/"

// rootsModule is the module that the authorities of the base come from.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

// writeSBOM writes what the linker recorded in the program: its modules at their versions and the Go that it was built
// with; and where the authorities of the base come from. It knows no more than that: no licenses, no packages.
func (r *release) writeSBOM(b build) error {
	content, err := os.ReadFile(b.file)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(b.file)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	program := r.component(cyclonedx.ComponentTypeApplication, &info.Main)
	program.Name = "capmaas-" + b.name
	program.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}

	bom := cyclonedx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceOID, sum[:]).String()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: r.created.Format("2006-01-02T15:04:05Z"), Component: &program,
		Properties: &[]cyclonedx.Property{
			{Name: "platform", Value: b.os + "/" + b.architecture}, {Name: "vcs.revision", Value: r.revision}, {Name: "source", Value: "Go build information"},
		},
	}
	components := []cyclonedx.Component{{
		BOMRef: "std", Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion,
		PackageURL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"),
	}}
	for _, module := range info.Deps {
		if module.Replace != nil && !strings.HasPrefix(module.Path, ours) {
			module = module.Replace
		}
		components = append(components, r.component(cyclonedx.ComponentTypeLibrary, module))
	}
	if packer, ok := debug.ReadBuildInfo(); ok {
		for _, module := range packer.Deps {
			if module.Path == rootsModule {
				components = append(components, r.component(cyclonedx.ComponentTypeData, module))
			}
		}
	}
	bom.Components = &components
	return r.encode("capmaas-"+b.name+"-"+r.version+"-"+b.os+"-"+b.architecture+".cdx.json", bom)
}

// component names a module. Ours have no version of their own in a build from the tree: it is the release's.
func (r *release) component(kind cyclonedx.ComponentType, module *debug.Module) cyclonedx.Component {
	version := module.Version
	if strings.HasPrefix(module.Path, ours) {
		version = r.version
	}
	url := "pkg:golang/" + module.Path + "@" + version
	return cyclonedx.Component{BOMRef: url, Type: kind, Name: module.Path, Version: version, PackageURL: url}
}

func (r *release) encode(name string, bom *cyclonedx.BOM) error {
	out, err := r.create(name)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	if err := cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return err
	}
	return out.Close()
}
