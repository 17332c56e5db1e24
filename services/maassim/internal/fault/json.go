package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// plain is Fault without its methods, so that encoding does not call itself.
type plain Fault

type wire struct {
	*plain
	Latency string `json:"latency,omitempty"`
	Trickle string `json:"trickle,omitempty"`
}

// MarshalJSON writes durations such as "1.5s", and a distribution of latencies as Spread says.
func (f Fault) MarshalJSON() ([]byte, error) {
	w := wire{plain: (*plain)(&f), Latency: f.Spread.String()}
	if w.Latency == "" && f.Latency != 0 {
		w.Latency = f.Latency.String()
	}
	if f.Trickle != 0 {
		w.Trickle = f.Trickle.String()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes, and refuses fields that there are not.
func (f *Fault) UnmarshalJSON(data []byte) error {
	w := wire{plain: (*plain)(f)}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return err
	}
	var err error
	if w.Latency != "" {
		if f.Latency, f.Spread, err = ParseLatency(w.Latency); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
	}
	if w.Trickle != "" {
		if f.Trickle, err = time.ParseDuration(w.Trickle); err != nil {
			return fmt.Errorf("trickle: %w", err)
		}
	}
	return nil
}
