// Package index holds the rows of the simulated MAAS's database: each table in the order of its ids, with indexes over what requests look
// for, so that a request pays for the rows that it is about and not for all of them.
//
// A row is indexed under what it holds. Whoever is about to change a row touches it first; it is indexed anew before the next look into an
// index, again and again until Settle forgets that it was touched.
package index

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Table is the rows of one kind. It is not safe for concurrent use.
type Table[R comparable] struct {
	id      func(R) int
	rows    []R // by id
	indexes []member[R]
	touched map[R]struct{}
	visited int
	changes int
}

// member is an index as its table sees it.
type member[R comparable] interface {
	put(row R)
	drop(row R)
	check(rows []R) error
}

// New returns an empty table; id tells a row's id, which never changes.
func New[R comparable](id func(R) int) *Table[R] {
	return &Table[R]{id: id, touched: make(map[R]struct{})}
}

// Add puts a row into the table and touches it. Its id must be new.
func (t *Table[R]) Add(row R) {
	t.rows = insert(t.rows, row, t.id)
	t.changes++
	t.Touch(row)
}

// Remove takes a row out; a row that is not there is left out.
func (t *Table[R]) Remove(row R) {
	if !t.Has(row) {
		return
	}
	t.rows = remove(t.rows, row, t.id)
	t.changes++
	for _, x := range t.indexes {
		x.drop(row)
	}
	delete(t.touched, row)
}

// Touch announces that a row may change until the next Settle. A row that is not in the table is not touched.
func (t *Table[R]) Touch(row R) {
	if t.Has(row) {
		t.touched[row] = struct{}{}
		t.changes++
	}
}

// Settle indexes what was touched and forgets that it was.
func (t *Table[R]) Settle() {
	if len(t.touched) == 0 {
		return
	}
	t.refresh()
	clear(t.touched)
	t.changes++
}

func (t *Table[R]) refresh() {
	t.visited += len(t.touched)
	for row := range t.touched {
		for _, x := range t.indexes {
			x.put(row)
		}
	}
}

// Len returns the number of rows.
func (t *Table[R]) Len() int { return len(t.rows) }

// Has reports whether this very row is in the table.
func (t *Table[R]) Has(row R) bool {
	at, found := search(t.rows, t.id(row), t.id)
	return found && t.rows[at] == row
}

// ByID returns the row of an id.
func (t *Table[R]) ByID(id int) (row R, ok bool) {
	at, found := search(t.rows, id, t.id)
	if !found {
		return row, false
	}
	t.visited++
	return t.rows[at], true
}

// All goes through every row as it is at the beginning, in the order of ids.
func (t *Table[R]) All() iter.Seq[R] { return t.each(slices.Clone(t.rows), slices.Values) }

// Newest goes through every row as it is at the beginning, the highest id first.
func (t *Table[R]) Newest() iter.Seq[R] {
	return t.each(slices.Clone(t.rows), func(rows []R) iter.Seq[R] {
		return func(yield func(R) bool) {
			for _, row := range slices.Backward(rows) {
				if !yield(row) {
					return
				}
			}
		}
	})
}

// each counts the rows that are really looked at.
func (t *Table[R]) each(rows []R, order func([]R) iter.Seq[R]) iter.Seq[R] {
	return func(yield func(R) bool) {
		for row := range order(rows) {
			t.visited++
			if !yield(row) {
				return
			}
		}
	}
}

// Merge returns the rows of several views, each once, in the order of ids.
func (t *Table[R]) Merge(views ...[]R) []R {
	all := slices.Concat(views...)
	if len(views) > 1 {
		slices.SortFunc(all, func(a, b R) int { return cmp.Compare(t.id(a), t.id(b)) })
		all = slices.Compact(all)
	}
	t.visited += len(all)
	return all
}

// Visited returns how many rows were looked at since the table was made, for a caller or to index them anew.
func (t *Table[R]) Visited() int { return t.visited }

// Changes returns a number that grows with each row that is added, removed or touched, and once more when what was touched is settled. What was
// worked out from settled rows holds as long as it is the same.
func (t *Table[R]) Changes() int { return t.changes }

// Check says where an index and the rows disagree, which means that a row was changed without being touched.
func (t *Table[R]) Check() error {
	t.refresh()
	for n, x := range t.indexes {
		if err := x.check(t.rows); err != nil {
			return fmt.Errorf("index %d: %w", n, err)
		}
	}
	return nil
}

// Index finds the rows of a table by keys of one kind. A row may have several keys or none.
type Index[R, K comparable] struct {
	table *Table[R]
	keys  func(row R, keys []K) []K
	rows  map[K][]R // by id
	under map[R][]K
	fresh []K // reused between calls of keys
}

// On adds an index to an empty table; keys appends the keys of a row to those given.
func On[R, K comparable](t *Table[R], keys func(row R, keys []K) []K) *Index[R, K] {
	x := &Index[R, K]{table: t, keys: keys, rows: make(map[K][]R), under: make(map[R][]K)}
	t.indexes = append(t.indexes, x)
	return x
}

// View returns the rows of a key in the order of ids. It is the index's own: the caller reads it, and only until the table changes. Reading it
// does not count as a visit.
func (x *Index[R, K]) View(key K) []R {
	x.table.refresh()
	return x.rows[key]
}

// Views returns the views of several keys.
func (x *Index[R, K]) Views(keys ...K) [][]R {
	x.table.refresh()
	views := make([][]R, 0, len(keys))
	for _, key := range keys {
		views = append(views, x.rows[key])
	}
	return views
}

// Rows returns the rows of a key in the order of ids.
func (x *Index[R, K]) Rows(key K) []R { return x.table.Merge(x.View(key)) }

// First returns the row with the lowest id of a key.
func (x *Index[R, K]) First(key K) (row R, ok bool) {
	rows := x.View(key)
	if len(rows) == 0 {
		return row, false
	}
	x.table.visited++
	return rows[0], true
}

// Except returns the views of every key but those given. Rows with several keys are in several views, rows without a key in none.
func (x *Index[R, K]) Except(keys ...K) [][]R {
	x.table.refresh()
	var views [][]R
	for key, rows := range x.rows {
		if !slices.Contains(keys, key) {
			views = append(views, rows)
		}
	}
	return views
}

// put indexes a row under its present keys.
func (x *Index[R, K]) put(row R) {
	x.fresh = x.keys(row, x.fresh[:0])
	if slices.Equal(x.fresh, x.under[row]) {
		return
	}
	x.drop(row)
	for _, key := range x.fresh {
		x.rows[key] = insert(x.rows[key], row, x.table.id)
	}
	if len(x.fresh) > 0 {
		x.under[row] = slices.Clone(x.fresh)
	}
}

func (x *Index[R, K]) drop(row R) {
	for _, key := range x.under[row] {
		left := remove(x.rows[key], row, x.table.id)
		if len(left) == 0 {
			delete(x.rows, key)
			continue
		}
		x.rows[key] = left
	}
	delete(x.under, row)
}

// check builds the index anew and compares.
func (x *Index[R, K]) check(rows []R) error {
	want := make(map[K][]R)
	for _, row := range rows {
		for _, key := range x.keys(row, nil) {
			want[key] = insert(want[key], row, x.table.id)
		}
	}
	for key, has := range x.rows {
		if !slices.Equal(has, want[key]) {
			return fmt.Errorf("%d rows under %v, should be %d", len(has), key, len(want[key]))
		}
	}
	for key, has := range want {
		if len(x.rows[key]) == 0 {
			return fmt.Errorf("no rows under %v, should be %d", key, len(has))
		}
	}
	return nil
}

func search[R any](rows []R, want int, id func(R) int) (int, bool) {
	return slices.BinarySearchFunc(rows, want, func(row R, want int) int { return cmp.Compare(id(row), want) })
}

// insert puts a row in its place; a row that is there already stays.
func insert[R any](rows []R, row R, id func(R) int) []R {
	at, found := search(rows, id(row), id)
	if found {
		return rows
	}
	return slices.Insert(rows, at, row)
}

func remove[R any](rows []R, row R, id func(R) int) []R {
	at, found := search(rows, id(row), id)
	if !found {
		return rows
	}
	return slices.Delete(rows, at, at+1)
}
