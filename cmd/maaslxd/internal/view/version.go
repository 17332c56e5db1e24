package view

import "github.com/capmaas/capmaas/cmd/maaslxd/internal/output"

// Version is which versions there are.
type Version struct {
	// Client is the command's, Go and Platform what it was built with and for.
	Client   string `json:"client"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Service and MAAS are empty where they were not asked for.
	Service string `json:"service,omitempty"`
	MAAS    string `json:"maas,omitempty"`
}

// Write writes a line for each.
func (v *Version) Write(p *output.Page) {
	p.Linef("maaslxd %s (%s, %s)", v.Client, v.Go, v.Platform)
	if v.Service != "" {
		p.Linef("service %s", v.Service)
	}
	if v.MAAS != "" {
		p.Linef("MAAS    %s", v.MAAS)
	}
}
