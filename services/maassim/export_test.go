package maassim

import "github.com/capmaas/capmaas/services/maassim/internal/fault"

// CheckRows lets tests find out whether the indexes of the simulated database agree with its rows.
func (s *Sim) CheckRows() error { return s.region.Check() }

// Operations lets tests know every operation there is.
func (s *Sim) Operations() []string { return s.api.Operations() }

// IsCostPart reports whether an entry of the cost model is a part of an operation rather than one.
func IsCostPart(name string) bool { return name == costAnyMachine || name == costShortAddresses }

// WorksOn lets tests know on which operations an effect has any.
func WorksOn(e Effect) []string { return fault.WorksOn(e) }

// ControlPaths lets tests know the control endpoint.
func (s *Sim) ControlPaths() map[string]string { return s.controlPaths() }
