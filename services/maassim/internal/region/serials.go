package region

// serials hand out ids of rows that lie in plain slices; an id is never used again.
type serials struct{ last map[string]int }

// next returns the id after the last one, which is at least the highest in use.
func (s *serials) next(kind string, inUse int) int {
	if s.last == nil {
		s.last = make(map[string]int)
	}
	s.last[kind] = max(s.last[kind], inUse) + 1
	return s.last[kind]
}
