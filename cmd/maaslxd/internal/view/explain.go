package view

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Condition is a condition of an object, with what to do where it does not hold.
type Condition struct {
	Type     string    `json:"type"`
	Status   string    `json:"status"`
	Reason   string    `json:"reason"`
	Message  string    `json:"message,omitempty"`
	Since    time.Time `json:"since"`
	WhatToDo string    `json:"whatToDo,omitempty"`
}

// Try is one attempt to make a VM.
type Try struct {
	Number   int32      `json:"number"`
	Name     string     `json:"name"`
	Host     string     `json:"host"`
	SystemID string     `json:"systemID,omitempty"`
	SentAt   *time.Time `json:"sentAt,omitempty"`
	Outcome  string     `json:"outcome"`
}

// Event is one event of the machine.
type Event struct {
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Count   int32     `json:"count"`
	Last    time.Time `json:"last"`
}

// InMAAS is what MAAS says of the machine.
type InMAAS struct {
	Name       string    `json:"name"`
	SystemID   string    `json:"systemID"`
	State      string    `json:"state"`
	Message    string    `json:"message,omitempty"`
	Power      string    `json:"power"`
	Locked     bool      `json:"locked,omitempty"`
	Claimed    *bool     `json:"claimed,omitempty"`
	FQDN       string    `json:"fqdn,omitempty"`
	Zone       string    `json:"zone,omitempty"`
	Addresses  []string  `json:"addresses,omitempty"`
	ObservedAt time.Time `json:"observedAt,omitzero"`
}

// Explanation is how a machine came to be where it is, or why it is not.
type Explanation struct {
	Namespace  string     `json:"namespace"`
	Name       string     `json:"name"`
	Mode       string     `json:"mode"`
	Image      string     `json:"image"`
	Size       string     `json:"size,omitempty"`
	Created    time.Time  `json:"created"`
	Deleting   *time.Time `json:"deleting,omitempty"`
	ProviderID string     `json:"providerID,omitempty"`
	// Up says whether the machine is deployed and part of its cluster.
	Up bool `json:"up"`
	// Machine, Phase and FailureDomain are the Machine's, Cluster the Cluster's name.
	Machine       string `json:"machine,omitempty"`
	Phase         string `json:"phase,omitempty"`
	FailureDomain string `json:"failureDomain,omitempty"`
	Cluster       string `json:"cluster,omitempty"`
	Paused        bool   `json:"paused,omitempty"`
	// Verdict is the condition that says best what is the matter; nil where all is well.
	Verdict *Condition `json:"verdict,omitempty"`
	// Host is the LXD host of a VM, MAAS what MAAS says; Trouble why one of them could not be asked for.
	Host    *Host    `json:"host,omitempty"`
	MAAS    *InMAAS  `json:"maas,omitempty"`
	Trouble *Failure `json:"trouble,omitempty"`

	Conditions []Condition `json:"conditions"`
	// ClusterConditions are those of the MaasCluster that do not hold.
	ClusterConditions []Condition `json:"clusterConditions,omitempty"`
	Attempts          []Try       `json:"attempts,omitempty"`
	Events            []Event     `json:"events,omitempty"`
}

// order is in which order conditions come true; the first that does not hold says what is waited for.
var order = []string{
	infrav1.LXDHostSelectedCondition, infrav1.LXDVMCreatedCondition, infrav1.LXDResourcesAllocatedCondition,
	infrav1.LXDVMDeployedCondition, infrav1.MachineDeployedCondition, infrav1.DNSAttachedCondition,
	clusterv1.ReadyCondition,
}

// NewExplanation takes over what the cluster says.
func NewExplanation(s *cluster.Story) *Explanation {
	m := s.Machine
	e := &Explanation{
		Namespace: m.Namespace, Name: m.Name, Mode: string(m.Spec.Mode()), Image: m.Spec.Image, Created: m.CreationTimestamp.Time,
		ProviderID: ptr.Deref(m.Spec.ProviderID, ""), Up: m.Status.Ready, Conditions: toConditions(m.Status.Conditions, false),
	}
	if at := m.DeletionTimestamp; at != nil {
		e.Deleting = &at.Time
	}
	if m.Spec.Mode() == infrav1.ModeLXD {
		shape := m.Spec.Shape()
		e.Size = output.Size(shape.Cores, int64(shape.MemoryMiB), int64(shape.DiskGB))
	}
	if s.Owner != nil {
		e.Machine, e.Phase, e.FailureDomain = s.Owner.Name, s.Owner.Status.Phase, s.Owner.Spec.FailureDomain
	}
	if s.Cluster != nil {
		e.Cluster, e.Paused = s.Cluster.Name, ptr.Deref(s.Cluster.Spec.Paused, false)
	}
	if s.MaasCluster != nil {
		e.ClusterConditions = toConditions(s.MaasCluster.Status.Conditions, true)
	}
	for i := range s.Attempts {
		a := &s.Attempts[i]
		try := Try{Number: a.Number, Name: a.Name, Host: a.HostName, SystemID: a.SystemID, Outcome: cluster.Outcome(a)}
		if a.SentAt != nil {
			try.SentAt = &a.SentAt.Time
		}
		e.Attempts = append(e.Attempts, try)
	}
	for _, ev := range s.Events {
		e.Events = append(e.Events, Event{Type: ev.Type, Reason: ev.Reason, Message: ev.Note, Count: ev.Count, Last: ev.Last})
	}
	e.Verdict = verdict(e.Conditions)
	return e
}

// SetStatus takes over what MAAS says.
func (e *Explanation) SetStatus(name, systemID, zone string, status *lxdprovisionerv1.MachineStatus) {
	e.MAAS = &InMAAS{
		Name: name, SystemID: systemID, Zone: zone, State: status.GetMaasStatus(), Message: status.GetMessage(), Power: power(status.GetPower()),
		Locked: status.GetLocked(), Claimed: status.Claimed, FQDN: status.GetFqdn(), Addresses: addresses(status),
	}
	if at := status.GetObservedAt(); at != nil {
		e.MAAS.ObservedAt = at.AsTime()
	}
}

// toConditions takes conditions over; only those that do not hold where told so. What is said of Paused holds when False.
func toConditions(all []metav1.Condition, onlyBad bool) []Condition {
	some := []Condition{}
	for _, c := range all {
		holds := c.Status == metav1.ConditionTrue
		if c.Type == clusterv1.PausedCondition {
			holds = c.Status == metav1.ConditionFalse
		}
		if onlyBad && holds {
			continue
		}
		one := Condition{Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message, Since: c.LastTransitionTime.Time}
		if !holds {
			one.WhatToDo = advice.ForCondition(c.Reason)
		}
		some = append(some, one)
	}
	return some
}

// verdict is the first condition that does not hold. That no host was looked for yet says less than what is waited for before.
func verdict(conditions []Condition) *Condition {
	var least *Condition
	for _, kind := range order {
		for i := range conditions {
			c := &conditions[i]
			switch {
			case c.Type != kind || c.Status == string(metav1.ConditionTrue):
			case c.Reason == infrav1.WaitingForLXDHostReason || c.Status == string(metav1.ConditionUnknown):
				if least == nil {
					least = c
				}
			default:
				return c
			}
		}
	}
	return least
}
