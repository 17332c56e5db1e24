package diagnosis

import (
	"context"
	"maps"
	"slices"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// probe is a DNS record that nobody makes: asking for it tells whether MAAS has the domain.
const probe = "maaslxd-doctor"

// checkImages looks for the images that somebody asks for.
func checkImages(ctx context.Context, c *service.Client, wanted map[string]string) []Finding {
	n := &notes{area: "Images"}
	ctx, cancel := c.Within(ctx)
	defer cancel()
	answer, err := c.Region.ListImages(ctx, &lxdprovisionerv1.ListImagesRequest{})
	if err != nil {
		failed(n, "the images can't be listed", err)
		return n.all
	}
	has := map[string]bool{}
	for _, image := range answer.GetImages() {
		has[image.GetName()] = true
	}
	if len(has) == 0 {
		n.addf(Wrong, "import images in MAAS", "MAAS has no image that can be deployed")
		return n.all
	}
	missing := 0
	for _, image := range slices.Sorted(maps.Keys(wanted)) {
		spec := infrav1.MaasMachineSpec{Image: image}
		system, series := spec.ImageParts()
		if !has[system+"/"+series] {
			missing++
			n.addf(Wrong, "import or upload it in MAAS, or ask for another: "+named(slices.Sorted(maps.Keys(has))), "MAAS has no image %s, which %s asks for", image, wanted[image])
		}
	}
	if missing == 0 {
		n.okf("MAAS has %d images, and none that is asked for is missing", len(has))
	}
	return n.all
}

// checkDomains looks for the DNS domains that somebody asks for.
func checkDomains(ctx context.Context, c *service.Client, wanted map[string]string) []Finding {
	n := &notes{area: "DNS"}
	if len(wanted) == 0 {
		n.addf(Skipped, "name one with --dns-domain", "no DNS domain is asked for")
	}
	ctx, cancel := c.Within(ctx)
	defer cancel()
	for _, domain := range slices.Sorted(maps.Keys(wanted)) {
		_, err := c.Region.GetEndpoint(ctx, &lxdprovisionerv1.GetEndpointRequest{Ref: &lxdprovisionerv1.EndpointRef{Name: probe, Domain: domain}})
		info, ours := errorinfo.From(err)
		switch {
		case err == nil, ours && info.Reason == lxdprovisionerv1.Reason_REASON_ENDPOINT_NOT_FOUND:
			n.okf("MAAS has the domain %s", domain)
		default:
			failed(n, "domain "+domain+", which "+wanted[domain]+" asks for", err)
		}
	}
	return n.all
}
