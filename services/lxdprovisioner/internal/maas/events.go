package maas

import (
	"context"
	"net/url"
	"strconv"
)

// Event is one line of a machine's log in MAAS.
type Event struct {
	// ID grows with time.
	ID int
	// Level is "ERROR", "WARNING", "INFO" or "AUDIT".
	Level       string
	Type        string
	Description string
}

// LastError gives the newest event of level ERROR of a machine, which says why a commissioning or
// deployment failed, and whether there is one.
func (c *Client) LastError(ctx context.Context, systemID string) (Event, bool, error) {
	if err := checkSystemID(systemID); err != nil {
		return Event{}, false, err
	}
	var answer eventsJSON
	query := url.Values{"id": {systemID}, "level": {"ERROR"}, "limit": {"1"}}
	if err := c.call(ctx, ask{op: opEvents, values: query, read: one(&answer)}); err != nil {
		return Event{}, false, err
	}
	var last Event
	for _, e := range *answer.Events {
		if e.ID.int() > last.ID {
			last = Event{ID: e.ID.int(), Level: e.Level, Type: e.Type, Description: sentence(e.Description)}
		}
	}
	return last, last.ID != 0, nil
}

type eventsJSON struct {
	Events *[]eventJSON `json:"events"`
}

type eventJSON struct {
	ID          integer `json:"id"`
	Level       string  `json:"level"`
	Type        string  `json:"type"`
	Description string  `json:"description"`
}

func (e *eventsJSON) check() *unfit {
	if e.Events == nil {
		return missing("events")
	}
	for i, event := range *e.Events {
		if u := positive(event.ID); u != nil {
			return u.in("events[" + strconv.Itoa(i) + "].id")
		}
	}
	return nil
}
