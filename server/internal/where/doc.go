// Package where reads the filters, sort orders and attribute changes that clients
// send with conversations, and applies them to documents. It touches no data by
// itself: whoever has candidates asks Match for each of them, so that every store
// answers alike.
//
// # Values
//
// A value is one of: nil, bool, string, json.Number, int, int64, float64, Date,
// []any, map[string]any. Documents may serve any of these; JSON text becomes
// json.Number for numbers and Date for {"__type":"Date","iso":…}, at any depth.
// Integers of any length compare exactly, other numbers as float64. Two objects are equal
// if they have equal values under the same keys, two arrays if they are equal element by
// element. Values of different types are never equal and never ordered by a comparison
// operator.
//
// # Filters
//
// A filter is a JSON object, all of whose clauses must hold:
//
//	{"k": v}                              equal; on an array: equal to an element, or to the whole array
//	{"k": {"$ne": v}}                     the opposite
//	{"k": {"$lt"|"$lte"|"$gt"|"$gte": v}} numbers, strings (as bytes) and dates; on an array: any element
//	{"k": {"$in": [...]}}                 equal to one of them; "$nin": the opposite
//	{"k": {"$all": [...]}}                an array that contains all of them
//	{"k": {"$size": n}}                   an array of that length
//	{"k": {"$exists": bool}}
//	{"k": {"$regex": s, "$options": o}}   a string, or an array with such a string
//	{"$or": [...]}, {"$and": [...]}       filters
//
// A key with dots leads through objects, never through arrays; a field whose name itself
// has dots is found first. A missing key satisfies $ne, $nin and {"$exists": false},
// nothing else; null is a value and not a missing key.
//
// Regular expressions are those of package regexp, which takes time linear in the text.
// Quoting by \Q…\E works; the options are i, m, s and x (white space and #-comments are
// ignored outside of classes and quotes). Look-around, back-references and the other
// things that need backtracking are refused. Without m, $ matches at the very end of the
// text only.
//
// What a filter may cost is bounded by Limits, and whatever is refused is an *Error.
// Match takes time in proportion to the size of the fields it looks at, times the size of
// the operand or expression it compares them with; who matches many documents also
// bounds their number.
//
// # Changes
//
// An Object is a JSON object of which only the parts that are needed are decoded: what
// a change does not touch keeps its text byte for byte, long numbers included.
//
// Filters, sort orders and Objects are immutable and safe for concurrent use.
package where

import "encoding/json"

// Doc is what a filter looks at.
type Doc interface {
	// Field returns the value of a top-level field. The caller does not change it.
	Field(key string) (v any, ok bool)
}

// PathDoc is a Doc that finds what lies within a field without decoding all of it.
type PathDoc interface {
	Doc
	// Path returns the value to which a path of two or more names leads through
	// objects. It is what following the names in the value of Field gives.
	Path(path []string) (v any, ok bool)
}

// TextDoc is a Doc that keeps some fields as text.
type TextDoc interface {
	PathDoc
	// Raw returns the text of the value of a field, or else, if there is a path, of
	// the value at its end. kept is false if the field is not kept as text.
	Raw(key string, path []string) (raw json.RawMessage, ok, kept bool)
}

// DocFunc is a function that serves as a Doc.
type DocFunc func(key string) (any, bool)

// Field calls f.
func (f DocFunc) Field(key string) (any, bool) { return f(key) }

// Date is a point in time, in Unix milliseconds.
type Date int64

// Error says why a filter, sort order or change was refused.
type Error struct {
	Key    string // the key or operator concerned; may be empty
	Reason string
}

func (e *Error) Error() string {
	if e.Key == "" {
		return "where: " + e.Reason
	}
	return "where: " + e.Key + ": " + e.Reason
}

// Limits bounds what a filter or change may cost.
type Limits struct {
	Text     int // bytes of JSON
	Depth    int // nesting of the JSON
	Clauses  int // comparisons in all
	List     int // elements of one list operand
	Regex    int // bytes of one expression
	Program  int // instructions of one compiled expression
	Regexes  int // expressions in all
	SortKeys int // keys of a sort order
}

// DefaultLimits returns the limits that are meant for frames of clients.
func DefaultLimits() Limits {
	return Limits{
		Text:     64 << 10,
		Depth:    16,
		Clauses:  128,
		List:     1000,
		Regex:    512,
		Program:  1000,
		Regexes:  8,
		SortKeys: 8,
	}
}
