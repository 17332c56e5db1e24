package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Orphan is a VM that belongs to no MaasMachine.
type Orphan struct {
	VM   VM           `json:"vm"`
	Kind cluster.Kind `json:"kind"`
	// MaasCluster is the one that it is marked for, as namespace/name; empty where that is not here.
	MaasCluster string `json:"maasCluster,omitempty"`
	// Requested says that its removal was asked for already.
	Requested bool   `json:"requested,omitempty"`
	WhatToDo  string `json:"whatToDo"`
}

// Pending is an entry of a cluster's list of pending deletions.
type Pending struct {
	MaasCluster string    `json:"maasCluster"`
	Machine     string    `json:"machine"`
	VMs         []string  `json:"vms"`
	Since       time.Time `json:"since"`
}

// GivenUp is an entry of a cluster's list of VMs that somebody gave up.
type GivenUp struct {
	MaasCluster string    `json:"maasCluster"`
	Machine     string    `json:"machine"`
	VMs         []string  `json:"vms"`
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
}

// OrphanList is what is left behind in MAAS.
type OrphanList struct {
	Orphans  []Orphan  `json:"orphans"`
	Pending  []Pending `json:"pendingDeletions"`
	GivenUp  []GivenUp `json:"givenUp"`
	Answered []Answer  `json:"answers,omitempty"`
}

// Answer is what became of a request to remove orphans of one cluster.
type Answer struct {
	MaasCluster string   `json:"maasCluster"`
	VMs         []string `json:"vms"`
	Outcome     string   `json:"outcome"`
	Refused     bool     `json:"refused,omitempty"`
}

var whatToDoOf = map[cluster.Kind]string{
	cluster.Orphan:         "maaslxd orphans --delete NAME",
	cluster.Paused:         "unpause the cluster first: its machines may be on their way",
	cluster.UnknownCluster: "look for the management cluster of this mark; delete it in MAAS if there is none",
	cluster.Unmarked:       "delete it in MAAS if it is nobody's: it may be a stranger's",
}

// NewOrphanList sorts out which VMs have no owner; namespace limits it to the MaasClusters there, empty is all.
func NewOrphanList(vms []*lxdprovisionerv1.VM, h *cluster.Holdings, namespace string) (*OrphanList, error) {
	list := &OrphanList{Orphans: []Orphan{}, Pending: []Pending{}, GivenUp: []GivenUp{}}
	for _, vm := range vms {
		kind, home := h.Of(vm)
		if kind == cluster.Owned || namespace != "" && (home == nil || home.Namespace != namespace) {
			continue
		}
		one := Orphan{VM: NewVM(vm), Kind: kind, WhatToDo: whatToDoOf[kind]}
		if home != nil {
			one.MaasCluster = nameOf(home)
			one.Requested = slices.Contains(records.Unwanted(home), vm.GetName())
		}
		list.Orphans = append(list.Orphans, one)
	}
	slices.SortFunc(list.Orphans, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.MaasCluster, b.MaasCluster), cmp.Compare(a.VM.Name, b.VM.Name))
	})
	for i := range h.Clusters {
		if c := &h.Clusters[i]; namespace == "" || c.Namespace == namespace {
			if err := list.addLists(c); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func (l *OrphanList) addLists(c *infrav1.MaasCluster) error {
	pending, err := records.Deletions(c)
	if err != nil {
		return err
	}
	for _, d := range pending {
		l.Pending = append(l.Pending, Pending{MaasCluster: nameOf(c), Machine: d.Machine, VMs: d.VMs, Since: d.Since.Time})
	}
	abandoned, err := records.AbandonedVMs(c)
	if err != nil {
		return err
	}
	for _, a := range abandoned {
		l.GivenUp = append(l.GivenUp, GivenUp{MaasCluster: nameOf(c), Machine: a.Machine, VMs: a.VMs, Reason: a.Reason, At: a.At.Time})
	}
	return nil
}

// nameOf names a MaasCluster.
func nameOf(c *infrav1.MaasCluster) string { return c.Namespace + "/" + c.Name }

// Write writes what has no owner, what is still to be deleted, and what was given up.
func (l *OrphanList) Write(p *output.Page) {
	if len(l.Orphans) == 0 {
		p.Linef("No VM without a MaasMachine.")
	} else {
		rows := make([][]output.Cell, 0, len(l.Orphans))
		for _, o := range l.Orphans {
			kind := output.T(output.Warning, string(o.Kind))
			if o.Requested {
				kind.Text += ", removal asked for"
			}
			_, machine := o.VM.owner()
			rows = append(rows, []output.Cell{
				output.C(o.VM.Name), output.C(o.VM.Host), output.C(o.VM.Zone), o.VM.state(), output.C(o.VM.SystemID), output.C(o.MaasCluster), output.C(machine), kind, output.C(o.WhatToDo),
			})
		}
		p.Table([]string{"VM", "HOST", "ZONE", "STATE", "SYSTEM ID", "MAASCLUSTER", "MACHINE", "KIND", "WHAT TO DO"}, rows)
	}
	if len(l.Pending) > 0 {
		p.Headingf("Still to be deleted, from hosts that did not answer (give up: maaslxd orphans --forget MACHINE):")
		rows := make([][]output.Cell, 0, len(l.Pending))
		for _, d := range l.Pending {
			rows = append(rows, []output.Cell{output.C(d.MaasCluster), output.C(d.Machine), output.C(strings.Join(d.VMs, ", ")), output.C(p.Age(d.Since))})
		}
		p.Table([]string{"MAASCLUSTER", "MACHINE", "VMS", "SINCE"}, rows)
	}
	if len(l.GivenUp) > 0 {
		p.Headingf("Given up:")
		rows := make([][]output.Cell, 0, len(l.GivenUp))
		for _, g := range l.GivenUp {
			rows = append(rows, []output.Cell{output.C(g.MaasCluster), output.C(g.Machine), output.C(strings.Join(g.VMs, ", ")), output.C(g.Reason), output.C(p.Age(g.At))})
		}
		p.Table([]string{"MAASCLUSTER", "MACHINE", "VMS", "REASON", "AGE"}, rows)
	}
	l.writeAnswers(p)
}

func (l *OrphanList) writeAnswers(p *output.Page) {
	for _, a := range l.Answered {
		tone := output.Good
		if a.Refused {
			tone = output.Bad
		}
		p.Headingf("%s: %s", a.MaasCluster, p.Toned(tone, a.Outcome))
		p.Fields([2]string{"VMs", strings.Join(a.VMs, ", ")})
	}
}

// Selection is which orphans of one cluster are to be removed.
type Selection struct {
	Namespace, Name string
	VMs             []string
}

// Choose gives what is to be removed, by cluster: the VMs that are named, or all orphans where none is. An error names what
// is no orphan.
func (l *OrphanList) Choose(names []string) ([]Selection, error) {
	var chosen []Selection
	left := slices.Clone(names)
	for _, o := range l.Orphans {
		i := slices.Index(left, o.VM.Name)
		switch {
		case len(names) > 0 && i < 0:
			continue
		case o.Kind != cluster.Orphan && len(names) > 0:
			return nil, fmt.Errorf("%s is not removed: it is %s; %s", o.VM.Name, strings.ReplaceAll(string(o.Kind), "_", " "), o.WhatToDo)
		case o.Kind != cluster.Orphan:
			continue
		case i >= 0:
			left = slices.Delete(left, i, i+1)
		}
		namespace, name, _ := strings.Cut(o.MaasCluster, "/")
		if n := len(chosen); n == 0 || chosen[n-1].Name != name || chosen[n-1].Namespace != namespace {
			chosen = append(chosen, Selection{Namespace: namespace, Name: name})
		}
		chosen[len(chosen)-1].VMs = append(chosen[len(chosen)-1].VMs, o.VM.Name)
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("no VM without a MaasMachine: %s", strings.Join(left, ", "))
	}
	return chosen, nil
}
