package where

import (
	"slices"
	"sort"
)

// Marker is what a filter says about a condition.
type Marker int8

// The answers.
const (
	Either Marker = iota // documents of both sorts may match
	Yes                  // only documents that have it can match
	No                   // only documents that do not have it can match
)

// The fields of a conversation that the planner understands.
const (
	FieldID       = "objectId"
	FieldMembers  = "m"
	FieldRoom     = "tr"
	FieldService  = "sys"
	FieldTemp     = "temp"
	FieldConvType = "conv_type"
	FieldUnique   = "unique"
	FieldUniqueID = "uniqueId"
)

// Plan lists conditions that every matching document fulfils, so that candidates can be
// found without looking at everything. Candidates still have to be matched.
type Plan struct {
	// IDs are the only ids that can match, sorted; valid if HasIDs.
	IDs    []string
	HasIDs bool

	Members      []string // all of these are members; sorted
	AnyMember    []string // if not empty: at least one of these is a member; sorted
	ExactMembers bool     // Members are all the members there are

	UniqueID string // if not empty: the only unique id that can match

	ConvTypes []int64 // if not nil: the only values of conv_type that can match; sorted

	Room, Service, Temporary, Unique Marker
}

// Plan derives access conditions from the filter.
func (f *Filter) Plan() Plan {
	var p Plan
	size := -1
	for i := range f.root.clauses {
		c := &f.root.clauses[i]
		if c.path != nil {
			continue
		}
		switch c.key {
		case FieldMembers:
			p.members(c)
			if c.op == opSize {
				size = c.size
			}
		case FieldRoom:
			p.Room = c.marker(p.Room)
		case FieldService:
			p.Service = c.marker(p.Service)
		case FieldTemp:
			p.Temporary = c.marker(p.Temporary)
		case FieldUnique:
			p.Unique = c.marker(p.Unique)
		case FieldUniqueID:
			if s, ok := c.arg.(string); ok && c.op == opEq {
				p.UniqueID = s
			}
		case FieldConvType:
			p.convTypes(c)
		}
	}
	p.IDs, p.HasIDs = f.root.ids()
	p.Members = distinct(p.Members)
	p.AnyMember = distinct(p.AnyMember)
	p.ExactMembers = size >= 0 && size == len(p.Members)
	return p
}

func (p *Plan) members(c *clause) {
	switch c.op {
	case opEq:
		switch v := c.arg.(type) {
		case string:
			p.Members = append(p.Members, v)
		case []any:
			p.Members = append(p.Members, stringsOf(v)...)
		}
	case opAll:
		p.Members = append(p.Members, stringsOf(c.list)...)
	case opIn:
		if ids := stringsOf(c.list); p.AnyMember == nil && len(ids) == len(c.list) {
			p.AnyMember = ids
		}
	}
}

func (p *Plan) convTypes(c *clause) {
	list := c.list
	switch c.op {
	case opEq:
		list = []any{c.arg}
	case opIn:
	default:
		return
	}
	types := []int64{}
	for _, v := range list {
		// A number such as 1.0 equals 1 too; leave such filters to matching.
		n, ok := smallInt(v)
		if !ok {
			return
		}
		if p.ConvTypes == nil || slices.Contains(p.ConvTypes, n) {
			types = append(types, n)
		}
	}
	slices.Sort(types)
	p.ConvTypes = slices.Compact(types)
}

// marker reads a clause on a field that is true or missing or false.
func (c *clause) marker(old Marker) Marker {
	b, isBool := c.arg.(bool)
	switch {
	case c.op == opEq && isBool && b:
		return Yes
	case c.op == opEq && isBool && !b, c.op == opNe && isBool && b, c.op == opExists && !c.want:
		return No
	}
	return old
}

// ids returns the only ids that the group can match.
func (g *group) ids() (ids []string, ok bool) {
	for i := range g.clauses {
		c := &g.clauses[i]
		if c.key != FieldID {
			continue
		}
		switch c.op {
		case opEq:
			ids, ok = intersect(ids, ok, stringsOf([]any{c.arg})), true
		case opIn:
			ids, ok = intersect(ids, ok, stringsOf(c.list)), true
		}
	}
	for _, alternatives := range g.ors {
		var union []string
		all := true
		for i := range alternatives {
			sub, has := alternatives[i].ids()
			all = all && has
			union = append(union, sub...)
		}
		if all {
			ids, ok = intersect(ids, ok, union), true
		}
	}
	return distinct(ids), ok
}

// intersect narrows what is known, if anything is, to b.
func intersect(a []string, known bool, b []string) []string {
	if !known {
		return b
	}
	in := make(map[string]struct{}, len(b))
	for _, s := range b {
		in[s] = struct{}{}
	}
	var both []string
	for _, s := range a {
		if _, ok := in[s]; ok {
			both = append(both, s)
		}
	}
	return both
}

// stringsOf returns the strings among values: an id is never anything else.
func stringsOf(vs []any) []string {
	var ss []string
	for _, v := range vs {
		if s, ok := v.(string); ok {
			ss = append(ss, s)
		}
	}
	return ss
}

func distinct(ss []string) []string {
	sort.Strings(ss)
	return slices.Compact(ss)
}
