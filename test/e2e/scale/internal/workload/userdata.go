package workload

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/test/e2e/internal/cloudconfig"
)

// The files of the user data that are read.
const (
	initFile = "/run/kubeadm/kubeadm.yaml"
	joinFile = "/run/kubeadm/kubeadm-join-config.yaml"
	pkiDir   = "/etc/kubernetes/pki/"
)

// defaultPort is where kubeadm's API servers listen.
const defaultPort = 6443

// role is what user data want of a machine.
type role struct {
	// first makes the cluster, the others join it; controlPlane says which of both ways.
	first, controlPlane bool
	// node is the Node's name, endpoint the host and port of the cluster's API server.
	node, endpoint string
	// port is where a control plane's API server listens.
	port int32
	// token lets those in that join.
	token string
	// configuration is kubeadm's ClusterConfiguration, as the first machine leaves it in the cluster.
	configuration string
	// ca and etcdCA are the cluster's authorities; control planes have them alone.
	ca, etcdCA *mtlstest.Authority
}

// kubeadmConfig is what is read of kubeadm's kinds, all of them together.
type kubeadmConfig struct {
	Kind                 string
	ControlPlaneEndpoint string
	NodeRegistration     struct{ Name string }
	LocalAPIEndpoint     struct{ BindPort int32 }
	ControlPlane         *struct{ LocalAPIEndpoint struct{ BindPort int32 } }
	Discovery            struct {
		BootstrapToken struct{ Token, APIServerEndpoint string }
	}
}

// read reads a machine's user data.
func read(userData []byte, hostname string, now func() time.Time) (role, error) {
	config, err := cloudconfig.Parse(userData, hostname)
	if err != nil {
		return role{}, err
	}
	files := make(map[string][]byte)
	for _, f := range config.WriteFiles {
		if files[f.Path], err = f.Bytes(); err != nil {
			return role{}, err
		}
	}
	r := role{node: hostname}
	for _, file := range []string{initFile, joinFile} {
		if err := r.readConfig(files[file]); err != nil {
			return role{}, fmt.Errorf("read %s: %w", file, err)
		}
	}
	if _, _, err := net.SplitHostPort(r.endpoint); err != nil {
		return role{}, fmt.Errorf("find the endpoint in kubeadm's configuration: %w", err)
	}
	if !r.controlPlane {
		return r, nil
	}
	var caErr, etcdErr error
	r.ca, caErr = mtlstest.Load(files[pkiDir+"ca.crt"], files[pkiDir+"ca.key"], now)
	r.etcdCA, etcdErr = mtlstest.Load(files[pkiDir+"etcd/ca.crt"], files[pkiDir+"etcd/ca.key"], now)
	return r, errors.Join(caErr, etcdErr)
}

// readConfig reads the documents of one of kubeadm's files, where there is one.
func (r *role) readConfig(text []byte) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var c kubeadmConfig
		if err := yaml.Unmarshal(document, &c); err != nil {
			return err
		}
		r.take(c, document)
	}
}

// take adds what one document says.
func (r *role) take(c kubeadmConfig, document []byte) {
	switch c.Kind {
	case "ClusterConfiguration":
		r.endpoint, r.configuration = c.ControlPlaneEndpoint, string(document)
	case "InitConfiguration":
		r.first, r.controlPlane = true, true
		r.port = cmp.Or(c.LocalAPIEndpoint.BindPort, defaultPort)
	case "JoinConfiguration":
		r.endpoint, r.token = c.Discovery.BootstrapToken.APIServerEndpoint, c.Discovery.BootstrapToken.Token
		if c.ControlPlane != nil {
			r.controlPlane, r.port = true, cmp.Or(c.ControlPlane.LocalAPIEndpoint.BindPort, defaultPort)
		}
	}
	r.node = cmp.Or(c.NodeRegistration.Name, r.node)
}
