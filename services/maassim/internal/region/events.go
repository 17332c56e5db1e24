package region

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) eventResources() []rest.Resource {
	return []rest.Resource{{Path: "events", Actions: []rest.Action{
		{Method: http.MethodGet, Op: "query", Name: "events.query", Handle: r.queryEvents},
	}}}
}

// levels are the event levels from low to high; a query's level is a minimum.
var levels = []string{"AUDIT", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}

func (r *Region) queryEvents(q *rest.Request) (any, error) {
	defer r.begin()()
	limit := 100
	if text := q.Query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, rest.Text(http.StatusBadRequest, "Invalid limit: %s", text)
		}
		limit = n
	}
	least := slices.Index(levels, orDefault(q.Query.Get("level"), "INFO"))
	if least < 0 {
		return nil, rest.Text(http.StatusBadRequest, "Unrecognised log level: %s", q.Query.Get("level"))
	}
	all := []object{}
	for e := range r.eventsFor(q) {
		if len(all) == limit {
			break
		}
		if r.wantsEvent(q, e) && slices.Index(levels, e.level) >= least {
			all = append(all, object{
				"id": e.id, "node": e.systemID, "hostname": e.hostname, "username": "unknown", "level": e.level, "type": e.kind,
				"description": e.describe, "created": e.at.UTC().Format(eventTime),
			})
		}
	}
	return object{"count": len(all), "events": all, "next_uri": pageURI(q, all, "after", 0), "prev_uri": pageURI(q, all, "before", len(all)-1)}, nil
}

// eventsFor returns the events from which a query chooses, the newest first.
func (r *Region) eventsFor(q *rest.Request) iter.Seq[*event] {
	if !q.Query.Has("id") {
		return r.events.Newest()
	}
	var views [][]*event
	for _, id := range q.Query.All("id") {
		views = append(views, r.events.of.View(id))
	}
	found := r.events.Merge(views...)
	slices.Reverse(found)
	return slices.Values(found)
}

func (r *Region) wantsEvent(q *rest.Request, e *event) bool {
	if q.Query.Has("id") && !slices.Contains(q.Query.All("id"), e.systemID) {
		return false
	}
	if q.Query.Has("hostname") && !slices.Contains(q.Query.All("hostname"), e.hostname) {
		return false
	}
	if m := r.machine(e.systemID); q.Query.Has("agent_name") && (m == nil || m.agent != q.Query.Get("agent_name")) {
		return false
	}
	after, err := strconv.Atoi(q.Query.Get("after"))
	if err == nil && e.id <= after {
		return false
	}
	before, err := strconv.Atoi(q.Query.Get("before"))
	return err != nil || e.id < before
}

// pageURI is the address of the newer or older events; there is no older page of nothing.
func pageURI(q *rest.Request, events []object, side string, at int) any {
	base, _, _ := strings.Cut(q.URI, "&after=")
	base, _, _ = strings.Cut(base, "&before=")
	if len(events) == 0 {
		if side == "before" {
			return nil
		}
		return base
	}
	id, _ := events[at]["id"].(int)
	return base + "&" + side + "=" + strconv.Itoa(id)
}
