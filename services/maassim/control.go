package maassim

import (
	"encoding/json"
	"net"
	"net/http"
)

// controlHandler serves the simulator's own endpoint, to loopback alone:
//
//	GET    /_sim/lxd            the instances in LXD
//	GET    /_sim/machines       what MAAS believes
//	GET    /_sim/dns            the DNS records
//	GET    /_sim/requests       calls by operation; DELETE starts anew
//	GET    /_sim/faults         the fault plan; POST adds a fault or a list of them, DELETE clears it
//	PUT    /_sim/hosts/{name}/offline   makes a host unreachable; DELETE brings it back
func (s *Sim) controlHandler() http.Handler {
	mux := http.NewServeMux()
	show := func(pattern string, value func() any) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, _ *http.Request) { reply(w, value()) })
	}
	show("/_sim/lxd", func() any { return s.LXD() })
	show("/_sim/machines", func() any { return s.Machines() })
	show("/_sim/dns", func() any { return s.DNSRecords() })
	show("/_sim/requests", func() any { return s.Requests() })
	show("/_sim/faults", func() any { return s.Faults() })
	mux.HandleFunc("DELETE /_sim/requests", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetRequests()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_sim/faults", s.postFaults)
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /_sim/hosts/{name}/offline", func(w http.ResponseWriter, r *http.Request) { s.setOffline(w, r, true) })
	mux.HandleFunc("DELETE /_sim/hosts/{name}/offline", func(w http.ResponseWriter, r *http.Request) { s.setOffline(w, r, false) })
	return loopbackOnly(mux)
}

func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "the control endpoint serves loopback alone", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// postFaults takes one fault or a list of them.
func (s *Sim) postFaults(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	faults := make([]Fault, 1)
	var err error
	if len(raw) > 0 && raw[0] == '[' {
		err = json.Unmarshal(raw, &faults)
	} else {
		err = json.Unmarshal(raw, &faults[0])
	}
	if err == nil {
		err = s.AddFaults(faults...)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, s.Faults())
}

func (s *Sim) setOffline(w http.ResponseWriter, r *http.Request, offline bool) {
	if err := s.SetHostOffline(r.PathValue("name"), offline); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
