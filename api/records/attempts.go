package records

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// Attempt is one stored try to make a VM, as ComposeAttemptsAnnotation holds it.
type Attempt struct {
	// Number counts the attempts of a machine from 1. Name is the VM's: each attempt has its own.
	Number int32  `json:"attempt"`
	Name   string `json:"name"`
	// HostID and HostName are the LXD host that was chosen.
	HostID   string `json:"hostID"`
	HostName string `json:"hostName"`
	// SystemID is MAAS's id of the VM, once that was seen.
	SystemID string `json:"systemID,omitempty"`
	// SentAt is when the VM was first asked for; nil before.
	SentAt *metav1.Time `json:"sentAt,omitempty"`
	// Settled says that it is known what came of it: the VM was seen, or its absence is proved.
	Settled bool `json:"settled,omitempty"`
	// GivenUp says that nothing is sent for the attempt any more. A VM of it is deleted before the next attempt is opened;
	// where none was ever seen its name is checked when the machine is deleted.
	GivenUp bool `json:"givenUp,omitempty"`
	// LastHost says that no other host was left for the VM when this one was chosen, and that its group shares none.
	LastHost bool `json:"lastHost,omitempty"`
	// Yielded says that its VM gave way to others on a host over its limit, which is nobody's failure.
	Yielded bool `json:"yielded,omitempty"`
	// Resent is how often it was sent again after the first time.
	Resent int `json:"resent,omitempty"`
}

// Attempts reads the attempts of a machine, oldest first.
func Attempts(m *infrav1.MaasMachine) ([]Attempt, error) {
	return read[Attempt](m, infrav1.ComposeAttemptsAnnotation)
}

// EncodeAttempts gives the text of ComposeAttemptsAnnotation.
func EncodeAttempts(all []Attempt) (string, error) {
	text, err := encode(all)
	if err != nil {
		return "", fmt.Errorf("encode the attempts: %w", err)
	}
	return text, nil
}

// VMNames gives the names of all VMs that were or may be made for a machine, that of the existing provider among them.
func VMNames(m *infrav1.MaasMachine) ([]string, error) {
	all, err := Attempts(m)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(all)+1)
	for i := range all {
		names = append(names, all[i].Name)
	}
	if first := m.Annotations[infrav1.VMNameAnnotation]; first != "" {
		names = append(names, first)
	}
	return names, nil
}
