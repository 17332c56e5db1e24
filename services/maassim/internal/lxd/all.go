package lxd

// ListAll returns the instances of every project of a host in the order of their creation. It fails with ErrOffline.
func (w *World) ListAll(hostName string) ([]Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, err := w.reach(hostName)
	if err != nil {
		return nil, err
	}
	return h.list(func(key) bool { return true }), nil
}
