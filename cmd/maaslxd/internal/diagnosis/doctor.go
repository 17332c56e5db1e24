package diagnosis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
)

// Wants is what must be in MAAS, besides what the cluster's objects ask for.
type Wants struct{ Images, Domains []string }

// Doctor examines service, MAAS and management cluster.
type Doctor struct {
	// Version is the command's.
	Version string
	Clock   func() time.Time
	Wants   Wants
	// Step is told what is being looked at.
	Step func(string)
	// Connect reaches the service, Access the cluster; cluster.ErrNone says that there is none.
	Connect func(context.Context) (*service.Client, func(), error)
	Access  func() (*cluster.Access, error)
}

// asked is what the cluster's objects ask of MAAS: images and DNS domains, each with who asks for it.
type asked struct{ images, domains map[string]string }

// Examine makes every check. What can't be checked is a finding too.
func (d *Doctor) Examine(ctx context.Context) *Report {
	kubernetes, wants := d.examineCluster(ctx)
	for _, image := range d.Wants.Images {
		wants.images[image] = "--image"
	}
	for _, domain := range d.Wants.Domains {
		wants.domains[domain] = "--dns-domain"
	}
	findings := append(d.examineService(ctx, wants), kubernetes...)
	return &Report{
		Findings: findings,
		Healthy:  !slices.ContainsFunc(findings, func(f Finding) bool { return f.Status == Wrong }),
	}
}

// examineService makes the checks that need the service.
func (d *Doctor) examineService(ctx context.Context, wants asked) []Finding {
	d.Step("Reaching the service")
	connection := &notes{area: "Connection"}
	c, end, err := d.Connect(ctx)
	if err != nil {
		failed(connection, "the service can't be reached", err)
		return connection.all
	}
	defer end()
	region, err := c.GetRegion(ctx)
	if err != nil {
		failed(connection, "the service "+c.Way+" does not answer", err)
		return connection.all
	}
	connection.okf("the service answers %s", c.Way)
	d.transport(connection, c)
	d.versions(connection, region)
	maas := &notes{area: "MAAS"}
	checkRegion(maas, region)
	all := append(connection.all, maas.all...)
	if region.GetMaasVersion() == "" {
		return all // nothing else can be asked of a MAAS that does not answer
	}
	d.Step("Listing hosts, zones, images and VMs")
	return slices.Concat(all, checkHosts(ctx, c), checkVMs(ctx, c), checkImages(ctx, c, wants.images), checkDomains(ctx, c, wants.domains))
}

// failed notes an error with what to do about it.
func failed(n *notes, what string, err error) {
	f := view.NewFailure(err)
	if f.Reason != "" {
		what += " (" + f.Reason + ")"
	}
	n.addf(Wrong, f.WhatToDo, "%s: %s", what, f.Message)
}

// examineCluster makes the checks that need the cluster alone, and reads what its objects ask for.
func (d *Doctor) examineCluster(ctx context.Context) ([]Finding, asked) {
	n := &notes{area: "Kubernetes"}
	wants := asked{images: map[string]string{}, domains: map[string]string{}}
	access, err := d.Access()
	if errors.Is(err, cluster.ErrNone) {
		n.addf(Skipped, "give --kubeconfig, or set KUBECONFIG, to have the management cluster checked", "no kubeconfig")
		return n.all, wants
	}
	if err != nil {
		n.addf(Wrong, "correct the kubeconfig, or name another with --kubeconfig and --context", "%s", err)
		return n.all, wants
	}
	d.Step("Reading the management cluster")
	checkCluster(ctx, n, access, wants)
	return n.all, wants
}
