package where

// Match tells whether the document satisfies the filter.
func (f *Filter) Match(d Doc) bool { return f.root.match(d) }

func (g *group) match(d Doc) bool {
	for i := range g.clauses {
		if !g.clauses[i].match(d) {
			return false
		}
	}
	for _, alternatives := range g.ors {
		if !matchAny(alternatives, d) {
			return false
		}
	}
	return true
}

func matchAny(gs []group, d Doc) bool {
	for i := range gs {
		if gs[i].match(d) {
			return true
		}
	}
	return false
}

// find returns the value of a key, which may lead through objects.
func find(d Doc, key string, path []string) (any, bool) {
	v, ok := d.Field(key)
	if ok || path == nil {
		return v, ok
	}
	if p, isPath := d.(PathDoc); isPath {
		return p.Path(path)
	}
	v, ok = d.Field(path[0])
	for _, name := range path[1:] {
		if !ok {
			return nil, false
		}
		m, isObject := v.(map[string]any)
		if !isObject {
			return nil, false
		}
		v, ok = m[name]
	}
	return v, ok
}

func (c *clause) match(d Doc) bool {
	if c.strings {
		if t, isText := d.(TextDoc); isText {
			if is, known := c.matchText(t); known {
				return is
			}
		}
	}
	v, ok := find(d, c.key, c.path)
	switch c.op {
	case opExists:
		return ok == c.want
	case opNe:
		return !ok || !equalOrContains(v, c.arg)
	case opNin:
		return !ok || !c.oneOf(v)
	}
	if !ok {
		return false
	}
	switch c.op {
	case opEq:
		return equalOrContains(v, c.arg)
	case opIn:
		return c.oneOf(v)
	case opAll:
		return c.containsAll(v)
	case opSize:
		a, ok := v.([]any)
		return ok && len(a) == c.size
	case opRegex:
		return anyElement(v, func(e any) bool {
			s, ok := e.(string)
			return ok && c.re.MatchString(s)
		})
	}
	return anyElement(v, c.ordered)
}

// matchText decides a clause about strings on the text of the value, without
// decoding it. That is known for strings that mean themselves and for everything
// that is neither a string nor has elements.
func (c *clause) matchText(d TextDoc) (is, known bool) {
	raw, ok, kept := d.Raw(c.key, c.path)
	if !kept {
		return false, false
	}
	if ok {
		switch raw[0] {
		case '{', '[':
			return false, false
		case '"':
			inside := raw[1 : len(raw)-1]
			if !verbatim(inside) {
				return false, false
			}
			ok = c.among(inside)
		default:
			ok = false
		}
	}
	return ok == (c.op == opEq || c.op == opIn), true
}

// among tells whether a string is one of those that the clause asks for.
func (c *clause) among(s []byte) bool {
	switch {
	case c.set != nil:
		_, ok := c.set[string(s)]
		return ok
	case c.list != nil:
		for _, x := range c.list {
			if x.(string) == string(s) {
				return true
			}
		}
		return false
	}
	arg, ok := c.arg.(string)
	return ok && arg == string(s)
}

func (c *clause) ordered(v any) bool {
	r, ok := compare(v, c.arg)
	if !ok {
		return false
	}
	switch c.op {
	case opLt:
		return r < 0
	case opLte:
		return r <= 0
	case opGt:
		return r > 0
	case opGte:
		return r >= 0
	}
	return false
}

func anyElement(v any, f func(any) bool) bool {
	a, ok := v.([]any)
	if !ok {
		return f(v)
	}
	for _, e := range a {
		if f(e) {
			return true
		}
	}
	return false
}

func contains(a []any, x any) bool {
	for _, e := range a {
		if equal(e, x) {
			return true
		}
	}
	return false
}

func equalOrContains(v, x any) bool {
	if a, ok := v.([]any); ok && contains(a, x) {
		return true
	}
	return equal(v, x)
}

// oneOf tells whether the value, or an element of it, is in the list.
func (c *clause) oneOf(v any) bool {
	if c.set != nil {
		return anyElement(v, func(e any) bool {
			s, ok := e.(string)
			if !ok {
				return false
			}
			_, ok = c.set[s]
			return ok
		})
	}
	for _, x := range c.list {
		if equalOrContains(v, x) {
			return true
		}
	}
	return false
}

// containsAll tells whether the value is an array with every element of the list.
func (c *clause) containsAll(v any) bool {
	a, ok := v.([]any)
	if !ok {
		return false
	}
	if c.set != nil {
		found := make(map[string]struct{}, len(c.set))
		for _, e := range a {
			if s, ok := e.(string); ok {
				if _, ok := c.set[s]; ok {
					found[s] = struct{}{}
				}
			}
		}
		return len(found) == len(c.set)
	}
	for _, x := range c.list {
		if !contains(a, x) {
			return false
		}
	}
	return true
}
