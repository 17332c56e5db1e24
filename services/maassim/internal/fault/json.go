package fault

import (
	"encoding/json"
	"fmt"
	"time"
)

// plain is Fault without its methods, so that encoding does not call itself.
type plain Fault

type wire struct {
	*plain
	Latency string `json:"latency,omitempty"`
}

// MarshalJSON writes the latency as a duration such as "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	w := wire{plain: (*plain)(&f)}
	if f.Latency != 0 {
		w.Latency = f.Latency.String()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the latency as a duration such as "1.5s".
func (f *Fault) UnmarshalJSON(data []byte) error {
	w := wire{plain: (*plain)(f)}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.Latency == "" {
		return nil
	}
	d, err := time.ParseDuration(w.Latency)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	f.Latency = d
	return nil
}
