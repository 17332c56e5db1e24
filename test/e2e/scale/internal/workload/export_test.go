package workload

// Clusters is how many there are.
func (h *Host) Clusters() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clusters)
}
