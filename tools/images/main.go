// Command images packs programs into container images without a container engine: for each program an OCI layout with an
// image of every platform, as a tar file, and a list of what is in it (SBOM) beside. Packing the same programs again gives
// the same bytes.
//
// The programs are found at DIRECTORY/linux/amd64/NAME and so on.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// release is what all images of a release share.
type release struct {
	// programs is the directory with a directory for each platform, out where the files go.
	programs, out string
	// registry is put in front of the name of each image.
	registry string
	// version is the tag, revision the commit.
	version, revision string
	// created is the time that every file and image gets: that of the commit, not of the build.
	created time.Time
	// log gets a line for each image.
	log io.Writer
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	r := release{log: log}
	var epoch int64
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.StringVar(&r.programs, "programs", "", "`directory` with linux/amd64/NAME and so on")
	flags.StringVar(&r.out, "out", "", "`directory` for the images")
	flags.StringVar(&r.registry, "registry", "", "`prefix` of the images' names")
	flags.StringVar(&r.version, "version", "", "`tag` of the images")
	flags.StringVar(&r.revision, "revision", "", "`commit` that the programs are built from")
	flags.Int64Var(&epoch, "epoch", 0, "`seconds` since 1970 of that commit: the time of everything in the images")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if r.programs == "" || r.out == "" || r.version == "" || flags.NArg() == 0 {
		return fmt.Errorf("name --programs, --out, --version and the programs to pack")
	}
	r.created = time.Unix(epoch, 0).UTC()
	if err := os.MkdirAll(r.out, 0o750); err != nil {
		return err
	}
	for _, name := range flags.Args() {
		if err := r.pack(name); err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
	}
	return nil
}

// builds gives the files of a program, one for each platform.
func (r *release) builds(name string) ([]build, error) {
	files, err := filepath.Glob(filepath.Join(r.programs, "*", "*", name))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no platform in %s has it", r.programs)
	}
	all := make([]build, 0, len(files))
	for _, file := range files {
		architecture := filepath.Dir(file)
		all = append(all, build{
			name: name, file: file, architecture: filepath.Base(architecture), os: filepath.Base(filepath.Dir(architecture)),
		})
	}
	return all, nil
}
