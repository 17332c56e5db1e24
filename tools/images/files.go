package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"io/fs"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// bundlePath is where Go looks for authorities on every Linux.
const bundlePath = "etc/ssl/certs/ca-certificates.crt"

// baseLayer holds the little that the programs need beside themselves: who they are, a place for temporary files, and the
// authorities that sign the certificate of a MAAS on the Internet.
func (r *release) baseLayer() (v1.Layer, error) { //nolint:ireturn // the library has no other type for it
	roots := authorities()
	return r.layer(func(w *tar.Writer) error {
		for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/"} {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: r.created}); err != nil {
				return err
			}
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777, ModTime: r.created}); err != nil {
			return err
		}
		return r.writeFiles(w, []file{
			{"etc/passwd", []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
			{"etc/group", []byte("root:x:0:\nnonroot:x:65532:\n")},
			{bundlePath, roots},
		})
	})
}

type file struct {
	name    string
	content []byte
}

func (r *release) writeFiles(w *tar.Writer, files []file) error {
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.content)), ModTime: r.created}); err != nil {
			return err
		}
		if _, err := w.Write(f.content); err != nil {
			return err
		}
	}
	return nil
}

// authorities gives Mozilla's, as golang.org/x/crypto pins them. Those that may sign for some names or dates only are left
// out: a file of certificates can't say so.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return all.Bytes()
}

// programLayer holds the program alone.
func (r *release) programLayer(b build) (v1.Layer, error) { //nolint:ireturn // the library has no other type for it
	content, err := os.ReadFile(b.file)
	if err != nil {
		return nil, err
	}
	return r.layer(func(w *tar.Writer) error {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: b.name, Mode: 0o755, Size: int64(len(content)), ModTime: r.created}); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	})
}

// layer makes a compressed layer of what write puts into the tar file.
func (r *release) layer(write func(*tar.Writer) error) (v1.Layer, error) { //nolint:ireturn // the library has no other type for it
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	if err := write(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// archive writes a directory as a tar file of that name: names in order, one time, one owner.
func (r *release) archive(name, dir string) error {
	out, err := r.create(name)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	w, from := tar.NewWriter(out), os.DirFS(dir)
	err = fs.WalkDir(from, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return r.writeFiles(w, []file{{path, content}})
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Close()
}

// create makes a file of the release.
func (r *release) create(name string) (*os.File, error) {
	out, err := os.OpenRoot(r.out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	return out.Create(name)
}
