package where

import (
	"cmp"
	"fmt"
	"strings"
)

// Sort is a sort order. The zero Sort makes everything equal.
type Sort struct {
	keys []sortKey
}

type sortKey struct {
	key  string
	path []string
	desc bool
}

// ParseSort reads keys separated by commas; a leading minus makes one descending. Keys with
// dots lead through objects. Errors are of type *Error.
func ParseSort(text string, lim Limits) (Sort, error) {
	var s Sort
	if strings.TrimSpace(text) == "" {
		return s, nil
	}
	if n := strings.Count(text, ",") + 1; n > lim.SortKeys {
		return s, &Error{Key: "sort", Reason: fmt.Sprintf("more than %d keys", lim.SortKeys)}
	}
	for name := range strings.SplitSeq(text, ",") {
		k := sortKey{}
		k.key, k.desc = strings.CutPrefix(strings.TrimSpace(name), "-")
		if k.key == "" || strings.HasPrefix(k.key, "$") {
			return Sort{}, &Error{Key: "sort", Reason: "invalid key"}
		}
		if strings.Contains(k.key, ".") {
			k.path = strings.Split(k.key, ".")
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// Len returns the number of keys.
func (s Sort) Len() int { return len(s.keys) }

// Empty tells whether the order has no key.
func (s Sort) Empty() bool { return len(s.keys) == 0 }

// Uses tells whether the order looks at a top-level field.
func (s Sort) Uses(key string) bool {
	for _, k := range s.keys {
		if k.key == key || k.path != nil && k.path[0] == key {
			return true
		}
	}
	return false
}

// SortKey holds the values of one document by which it is sorted.
type SortKey []any

// Key takes out of a document what Compare needs.
func (s Sort) Key(d Doc) SortKey { return s.AppendKey(make(SortKey, 0, len(s.keys)), d) }

// AppendKey is Key that appends the values to vs.
func (s Sort) AppendKey(vs SortKey, d Doc) SortKey {
	for _, k := range s.keys {
		v, ok := find(d, k.key, k.path)
		if !ok {
			v = nil
		}
		vs = append(vs, v)
	}
	return vs
}

// First returns the first key of the order, empty if there is none.
func (s Sort) First() (key string, desc bool) {
	if len(s.keys) == 0 {
		return "", false
	}
	return s.keys[0].key, s.keys[0].desc
}

// Compare orders two documents by their keys: negative if a comes first, 0 if the order
// does not tell them apart. Values of different types come in the order null or missing,
// number, string, object, array, bool, date; objects and arrays among themselves are
// equal.
func (s Sort) Compare(a, b SortKey) int {
	for i, k := range s.keys {
		c := order(a[i], b[i])
		if c == 0 {
			continue
		}
		if k.desc {
			return -c
		}
		return c
	}
	return 0
}

func order(a, b any) int {
	if c := cmp.Compare(rankOf(a), rankOf(b)); c != 0 {
		return c
	}
	if x, ok := a.(bool); ok {
		y := b.(bool)
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	}
	c, _ := compare(a, b)
	return c
}
