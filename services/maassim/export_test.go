package maassim

// CheckRows lets tests find out whether the indexes of the simulated database agree with its rows.
func (s *Sim) CheckRows() error { return s.region.Check() }
