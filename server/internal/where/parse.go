package where

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Filter is a parsed filter. The zero Filter matches everything.
type Filter struct {
	root   group
	keys   []string // top-level fields in use, sorted
	weight int
}

// operator of a clause.
type operator int8

const (
	opEq operator = iota + 1
	opNe
	opLt
	opLte
	opGt
	opGte
	opIn
	opNin
	opAll
	opSize
	opExists
	opRegex
)

var operators = [...]struct { //nolint:gochecknoglobals // a table, never written
	name string
	op   operator
}{
	{"$ne", opNe}, {"$lt", opLt}, {"$lte", opLte}, {"$gt", opGt}, {"$gte", opGte}, {"$in", opIn}, {"$nin", opNin},
	{"$all", opAll}, {"$size", opSize}, {"$exists", opExists}, {"$regex", opRegex},
}

const (
	keyOr      = "$or"
	keyAnd     = "$and"
	keyRegex   = "$regex"
	keyOptions = "$options"
)

// clause is one comparison of one field.
type clause struct {
	key  string   // as written
	path []string // key split at dots; nil if it has none
	op   operator
	arg  any
	list []any
	set  map[string]struct{} // the list, if it is long and holds strings only
	size int
	want bool
	re   matcher

	strings bool // it asks whether the value is one of some strings
}

// group is a conjunction: all clauses and, of each alternative set, one group.
type group struct {
	clauses []clause
	ors     [][]group
}

type parser struct {
	lim     Limits
	clauses int
	regexes int
	keys    map[string]struct{}
}

// Parse reads a filter. Empty text is the empty filter. Errors are of type *Error.
func Parse(text []byte, lim Limits) (*Filter, error) {
	if len(text) == 0 {
		return &Filter{}, nil
	}
	if err := lim.check(text); err != nil {
		return nil, err
	}
	v, err := decode(text)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, &Error{Reason: "filter is not an object"}
	}
	p := parser{lim: lim, keys: make(map[string]struct{})}
	root, err := p.group(m)
	if err != nil {
		return nil, err
	}
	f := &Filter{root: root, weight: p.clauses/clausesOfUnit + p.regexes*unitsOfRegex}
	for k := range p.keys {
		f.keys = append(f.keys, k)
	}
	sort.Strings(f.keys)
	return f, nil
}

// Empty tells whether the filter has no condition at all.
func (f *Filter) Empty() bool { return len(f.root.clauses) == 0 && len(f.root.ors) == 0 }

// What an evaluation costs beyond looking at the document.
const (
	clausesOfUnit = 3 // so many comparisons are as much as looking at a document
	unitsOfRegex  = 2
)

// Weight is about how much it costs to match one document: 1 for looking at it and
// comparing a few fields, and more for many comparisons or expressions.
func (f *Filter) Weight() int { return 1 + f.weight }

// Uses tells whether the filter looks at a top-level field.
func (f *Filter) Uses(key string) bool {
	_, ok := slices.BinarySearch(f.keys, key)
	return ok
}

// check bounds the size and nesting of JSON text before anything is decoded.
func (lim Limits) check(text []byte) error {
	if len(text) > lim.Text {
		return &Error{Reason: fmt.Sprintf("longer than %d bytes", lim.Text)}
	}
	if d := depth(text); d > lim.Depth {
		return &Error{Reason: fmt.Sprintf("nested deeper than %d", lim.Depth)}
	}
	if !json.Valid(text) {
		return &Error{Reason: "invalid JSON"}
	}
	return nil
}

// depth is the deepest nesting of brackets outside of strings.
func depth(text []byte) int {
	d, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			d++
			deepest = max(deepest, d)
		case c == '}' || c == ']':
			d--
		}
	}
	return deepest
}

func (p *parser) group(m map[string]any) (group, error) {
	var g group
	for _, key := range sortedKeys(m) {
		var err error
		switch {
		case key == keyAnd:
			err = p.and(&g, m[key])
		case key == keyOr:
			err = p.or(&g, m[key])
		case strings.HasPrefix(key, "$"):
			err = &Error{Key: key, Reason: "unknown operator"}
		default:
			err = p.field(&g, key, m[key])
		}
		if err != nil {
			return group{}, err
		}
	}
	// Cheap comparisons first: an expression is only run on what the others let through.
	slices.SortStableFunc(g.clauses, func(a, b clause) int { return a.op.weight() - b.op.weight() })
	return g, nil
}

func (o operator) weight() int {
	if o == opRegex {
		return 1
	}
	return 0
}

func (p *parser) groups(key string, v any) ([]group, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, &Error{Key: key, Reason: "needs a list of filters"}
	}
	gs := make([]group, 0, min(len(list), p.lim.Clauses))
	for _, e := range list {
		// An empty filter costs a comparison too.
		if err := p.count(key); err != nil {
			return nil, err
		}
		m, ok := e.(map[string]any)
		if !ok {
			return nil, &Error{Key: key, Reason: "needs a list of filters"}
		}
		g, err := p.group(m)
		if err != nil {
			return nil, err
		}
		gs = append(gs, g)
	}
	return gs, nil
}

func (p *parser) and(g *group, v any) error {
	gs, err := p.groups(keyAnd, v)
	if err != nil {
		return err
	}
	for _, h := range gs {
		g.clauses = append(g.clauses, h.clauses...)
		g.ors = append(g.ors, h.ors...)
	}
	return nil
}

func (p *parser) or(g *group, v any) error {
	gs, err := p.groups(keyOr, v)
	if err != nil {
		return err
	}
	g.ors = append(g.ors, gs)
	return nil
}

func (p *parser) count(key string) error {
	p.clauses++
	if p.clauses > p.lim.Clauses {
		return &Error{Key: key, Reason: fmt.Sprintf("more than %d conditions", p.lim.Clauses)}
	}
	return nil
}

func (p *parser) field(g *group, key string, v any) error {
	first, _, _ := strings.Cut(key, ".")
	p.keys[first] = struct{}{}
	p.keys[key] = struct{}{}
	c := clause{key: key}
	if strings.Contains(key, ".") {
		c.path = strings.Split(key, ".")
	}
	m, ok := v.(map[string]any)
	if !ok || !hasOperator(m) {
		if err := p.count(key); err != nil {
			return err
		}
		c.op, c.arg = opEq, v
		c.strings = rankOf(v) == rankString
		g.clauses = append(g.clauses, c)
		return nil
	}
	for _, name := range sortedKeys(m) {
		if name == keyOptions {
			if _, ok := m[keyRegex]; !ok {
				return &Error{Key: name, Reason: "without " + keyRegex}
			}
			continue
		}
		if err := p.count(key); err != nil {
			return err
		}
		d := c
		if err := p.operand(&d, name, m[name], m[keyOptions]); err != nil {
			return err
		}
		g.clauses = append(g.clauses, d)
	}
	return nil
}

func hasOperator(m map[string]any) bool {
	for k := range m {
		if strings.HasPrefix(k, "$") {
			return true
		}
	}
	return false
}

func (p *parser) operand(c *clause, name string, v, options any) error {
	i := slices.IndexFunc(operators[:], func(o struct {
		name string
		op   operator
	}) bool {
		return o.name == name
	})
	if i < 0 {
		return &Error{Key: name, Reason: "unknown operator"}
	}
	c.op = operators[i].op
	switch c.op {
	case opNe:
		c.arg = v
		c.strings = rankOf(v) == rankString
	case opLt, opLte, opGt, opGte:
		switch rankOf(v) {
		case rankNumber, rankString, rankDate:
		default:
			return &Error{Key: name, Reason: "needs a number, string or date"}
		}
		c.arg = v
	case opIn, opNin, opAll:
		list, ok := v.([]any)
		if !ok {
			return &Error{Key: name, Reason: "needs a list"}
		}
		if len(list) > p.lim.List {
			return &Error{Key: name, Reason: fmt.Sprintf("more than %d elements", p.lim.List)}
		}
		c.list, c.set = list, stringSet(list)
		c.strings = c.op != opAll && !slices.ContainsFunc(list, func(v any) bool { return rankOf(v) != rankString })
	case opSize:
		n, ok := smallInt(v)
		if !ok || n < 0 {
			return &Error{Key: name, Reason: "needs a length"}
		}
		c.size = int(min(n, int64(1)<<31-1))
	case opExists:
		b, ok := v.(bool)
		if !ok {
			return &Error{Key: name, Reason: "needs true or false"}
		}
		c.want = b
	case opRegex:
		p.regexes++
		if p.regexes > p.lim.Regexes {
			return &Error{Key: name, Reason: fmt.Sprintf("more than %d expressions", p.lim.Regexes)}
		}
		m, err := compileRegex(v, options, p.lim)
		if err != nil {
			return err
		}
		c.re = m
	}
	return nil
}

// stringSet makes long lists of strings, such as ids and members, cheap to search.
func stringSet(list []any) map[string]struct{} {
	const short = 8
	if len(list) <= short {
		return nil
	}
	set := make(map[string]struct{}, len(list))
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil
		}
		set[s] = struct{}{}
	}
	return set
}

func sortedKeys(m map[string]any) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	return ks
}
