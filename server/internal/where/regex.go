package where

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// matcher is a compiled expression.
type matcher interface{ MatchString(s string) bool }

// compileRegex translates the expression and its options and bounds the result.
func compileRegex(v, options any, lim Limits) (matcher, error) {
	text, ok := v.(string)
	if !ok {
		return nil, &Error{Key: keyRegex, Reason: "needs a string"}
	}
	if len(text) > lim.Regex {
		return nil, &Error{Key: keyRegex, Reason: fmt.Sprintf("longer than %d bytes", lim.Regex)}
	}
	var opts string
	if options != nil {
		if opts, ok = options.(string); !ok {
			return nil, &Error{Key: keyOptions, Reason: "needs a string"}
		}
	}
	flags := ""
	for _, o := range []byte(opts) {
		switch o {
		case 'i', 'm', 's':
			if !strings.Contains(flags, string(o)) {
				flags += string(o)
			}
		case 'x':
			// Twice is harmless: what is left has nothing more to remove.
			text = removeSpace(text)
		default:
			return nil, &Error{Key: keyOptions, Reason: "unknown option"}
		}
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, &Error{Key: keyRegex, Reason: "not supported: " + err.Error()}
	}
	// Simplify writes repetitions out, which may take long by itself: look first.
	if expanded(tree, lim.Program) > lim.Program {
		return nil, &Error{Key: keyRegex, Reason: "too complex"}
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, &Error{Key: keyRegex, Reason: "not supported: " + err.Error()}
	}
	if len(prog.Inst) > lim.Program {
		return nil, &Error{Key: keyRegex, Reason: "too complex"}
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, &Error{Key: keyRegex, Reason: "not supported: " + err.Error()}
	}
	return re, nil
}

// expanded estimates from below how many instructions an expression has when its repetitions
// are written out. It stops counting above limit.
func expanded(re *syntax.Regexp, limit int) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		if n += expanded(sub, limit); n > limit {
			return limit + 1
		}
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, limit+1)
}

// removeSpace does what option x means: white space and comments go, except in
// classes, after a backslash and between \Q and \E.
func removeSpace(text string) string {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && !inClass && strings.HasPrefix(text[i:], `\Q`):
			end := strings.Index(text[i:], `\E`)
			if end < 0 {
				b.WriteString(text[i:])
				return b.String()
			}
			b.WriteString(text[i : i+end+2])
			i += end + 1
		case c == '\\' && i+1 < len(text):
			b.WriteString(text[i : i+2])
			i++
		case inClass:
			inClass = c != ']'
			b.WriteByte(c)
		case c == '[':
			inClass = true
			b.WriteByte(c)
			// A bracket in first place is a member of the class.
			if strings.HasPrefix(text[i+1:], "^") {
				i++
				b.WriteByte('^')
			}
			if strings.HasPrefix(text[i+1:], "]") {
				i++
				b.WriteByte(']')
			}
		case isSpace(c):
		case c == '#':
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}
