package region

import (
	"iter"
	"net/http"
	"net/url"
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
		switch {
		case err != nil:
			return nil, rest.Text(http.StatusBadRequest, "Invalid limit: %s", text)
		case n > 1000:
			return nil, rest.Text(http.StatusBadRequest, "Requested number of events %d is greater than limit: 1000", n)
		}
		limit = max(n, 1)
	}
	if q.Query.Has("after") && q.Query.Has("before") {
		return nil, rest.Text(http.StatusBadRequest, "There is undetermined behaviour when both `after` and `before` are specified.")
	}
	least := slices.Index(levels, orDefault(q.Query.Get("level"), "INFO"))
	if least < 0 {
		return nil, rest.Text(http.StatusBadRequest, "Unrecognised log level: %s", q.Query.Get("level"))
	}
	all := []object{}
	for e := range r.eventsFor(q) {
		if len(all) == limit && !q.Query.Has("after") {
			break
		}
		if slices.Index(levels, e.level) >= least && r.wantsEvent(q, e) {
			all = append(all, object{
				"id": e.id, "node": e.systemID, "hostname": e.hostname, "username": "unknown", "level": e.level, "type": e.kind,
				"description": e.describe, "created": e.at.UTC().Format(eventTime),
			})
		}
	}
	all = all[max(0, len(all)-limit):] // after an event it is the oldest that are wanted
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
	if q.Query.Has("agent_name") {
		if m := r.lookUp(e.systemID); m == nil || m.agent != q.Query.Get("agent_name") {
			return false
		}
	}
	after, err := strconv.Atoi(q.Query.Get("after"))
	if err == nil && e.id <= after {
		return false
	}
	before, err := strconv.Atoi(q.Query.Get("before"))
	return err != nil || e.id < before
}

// pageURI is the address of the newer or older events; there is no older page of nothing. Of a parameter that repeats it names the last value
// alone (recording 574).
func pageURI(q *rest.Request, events []object, side string, at int) any {
	if len(events) == 0 && side == "before" {
		return nil
	}
	var pairs []string
	for _, name := range q.Query.Names() {
		if name != "after" && name != "before" {
			pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(q.Query.Get(name)))
		}
	}
	if len(events) > 0 {
		id, _ := events[at]["id"].(int)
		pairs = append(pairs, side+"="+strconv.Itoa(id))
	}
	return uri("events/") + "?" + strings.Join(pairs, "&")
}
