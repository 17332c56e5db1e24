package index_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/index"
)

// pet is a row with a property of one value, one of several values, and one that may be missing.
type pet struct {
	id     int
	colour string
	tags   []string
	home   *int
}

type shelter struct {
	*index.Table[*pet]
	byColour, byTag *index.Index[*pet, string]
	byHome          *index.Index[*pet, int]
}

func newShelter() shelter {
	t := index.New(func(p *pet) int { return p.id })
	return shelter{
		Table:    t,
		byColour: index.On(t, func(p *pet, keys []string) []string { return append(keys, p.colour) }),
		byTag:    index.On(t, func(p *pet, keys []string) []string { return append(keys, p.tags...) }),
		byHome: index.On(t, func(p *pet, keys []int) []int {
			if p.home == nil {
				return keys
			}
			return append(keys, *p.home)
		}),
	}
}

var (
	colours = []string{"black", "red", "white"}
	tags    = []string{"big", "calm", "deaf", "old"}
)

// shuffle gives a pet random properties.
func (p *pet) shuffle(random *rand.Rand) {
	p.colour = colours[random.IntN(len(colours))]
	p.tags = nil
	for range random.IntN(4) {
		p.tags = append(p.tags, tags[random.IntN(len(tags))]) // one tag may come twice
	}
	p.home = nil
	if home := random.IntN(5); home > 0 {
		p.home = &home
	}
}

func TestR4_6_indexes_and_rows_agree_after_random_operations(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 4))
		s, rows := newShelter(), []*pet{} // rows in the order of ids, kept the simple way
		for step := range 400 {
			switch dice := random.IntN(10); {
			case dice < 4 || len(rows) == 0:
				p := &pet{id: step + 1}
				s.Add(p)
				p.shuffle(random) // what is added may still be filled in
				rows = append(rows, p)
			case dice < 6:
				at := random.IntN(len(rows))
				s.Remove(rows[at])
				rows = slices.Delete(rows, at, at+1)
			case dice < 9:
				p := rows[random.IntN(len(rows))]
				s.Touch(p)
				p.shuffle(random)
			default:
				s.Settle()
			}
			if step%10 == 0 {
				requireSame(t, s, rows)
			}
		}
		requireSame(t, s, rows)
	}
}

func requireSame(t *testing.T, s shelter, rows []*pet) {
	t.Helper()
	require.NoError(t, s.Check())
	require.True(t, slices.Equal(rows, slices.Collect(s.All())))
	backwards := slices.Collect(s.Newest())
	slices.Reverse(backwards)
	require.True(t, slices.Equal(rows, backwards))
	for _, colour := range colours {
		want := matching(rows, func(p *pet) bool { return p.colour == colour })
		require.Equal(t, want, s.byColour.Rows(colour))
		first, ok := s.byColour.First(colour)
		require.Equal(t, len(want) > 0, ok)
		if ok {
			require.Equal(t, want[0], first)
		}
		require.Equal(t, matching(rows, func(p *pet) bool { return p.colour != colour }), s.Merge(s.byColour.Except(colour)...))
	}
	require.Equal(t, matching(rows, func(p *pet) bool { return slices.Contains(p.tags, "big") || slices.Contains(p.tags, "old") }),
		s.Merge(s.byTag.Views("big", "old")...))
	require.Equal(t, matching(rows, func(p *pet) bool { return p.home != nil && *p.home == 2 }), s.byHome.Rows(2))
}

func matching(rows []*pet, wanted func(*pet) bool) []*pet {
	var found []*pet
	for _, p := range rows {
		if wanted(p) {
			found = append(found, p)
		}
	}
	return found
}

func TestR4_6_a_row_that_changes_without_being_touched_is_found_out(t *testing.T) {
	t.Parallel()
	s := newShelter()
	p := &pet{id: 1, colour: "red"}
	s.Add(p)
	s.Settle()
	p.colour = "white"
	require.Error(t, s.Check())
	s.Touch(p)
	require.NoError(t, s.Check())
	assert.Len(t, s.byColour.Rows("white"), 1)
}

func TestR4_6_only_rows_that_are_looked_at_count(t *testing.T) {
	t.Parallel()
	s := newShelter()
	for id := range 100 {
		s.Add(&pet{id: id, colour: colours[id%2]})
	}
	s.Settle()
	before := s.Visited()
	for p := range s.All() {
		if p.id == 9 {
			break
		}
	}
	assert.Equal(t, 10, s.Visited()-before)
	before = s.Visited()
	s.byColour.View("red")
	assert.Equal(t, 0, s.Visited()-before)
	s.byColour.Rows("red")
	assert.Equal(t, 50, s.Visited()-before)
	_, ok := s.ByID(100)
	assert.False(t, ok)
}

func TestR4_6_rows_may_be_removed_while_a_list_is_gone_through(t *testing.T) {
	t.Parallel()
	s := newShelter()
	for id := range 10 {
		s.Add(&pet{id: id, colour: "red"})
	}
	for p := range s.All() {
		s.Remove(p)
	}
	assert.Zero(t, s.Len())
	s.Remove(&pet{id: 3})
	assert.Empty(t, s.byColour.Rows("red"))
}

func TestR4_6_what_was_worked_out_holds_until_a_row_may_have_changed(t *testing.T) {
	t.Parallel()
	s := newShelter()
	p := &pet{id: 1, colour: "red"}
	seen := s.Changes()
	differs := func(step string) {
		t.Helper()
		require.NotEqual(t, seen, s.Changes(), step)
		seen = s.Changes()
	}
	s.Add(p)
	differs("added")
	s.Settle()
	differs("settled")
	s.byColour.Rows("red")
	s.Settle()
	require.Equal(t, seen, s.Changes())
	s.Touch(p)
	differs("touched")
	s.Settle()
	differs("changed since it was touched")
	s.Remove(p)
	differs("removed")
}
