package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const wireFile = "../docs/wire-differences.md"

// TestWire holds what the official SDK and the Go SDK send for the same calls to
// each other. The known differences are in docs/wire-differences.md.
func TestWire(t *testing.T) {
	t.Parallel()
	nodePath := node(t)
	dir := install(t)
	var mu sync.Mutex
	recorded := make(map[string]*exchange) // by version
	t.Run("record", func(t *testing.T) {
		for _, version := range versions() {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				e := record(t, nodePath, dir, version)
				mu.Lock()
				defer mu.Unlock()
				recorded[version] = e
			})
		}
	})
	if len(recorded) < len(versions()) {
		return // only some were asked for, or they have failed
	}
	checkWire(t, recorded[versions()[0]].steps, differences(t, recorded))
}

// record runs the scenario with a version and the Go SDK.
func record(t *testing.T, nodePath, dir, version string) *exchange {
	r := &recorder{}
	b := newBridge(t, r)
	defer b.close()
	b.run(nodePath, dir, "wire.js", version)
	sockets, err := r.sockets()
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.exchange(sockets)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// form is what one frame, or one upgrade request, consists of: values by field.
// A field that is not there is absent.
type form map[string]string

// exchange is what each side has sent, by step.
type exchange struct {
	steps []string                     // in order: "command|title"
	sent  map[string]map[string][]form // by side ("js", "go") and step
}

// exchange sorts what was recorded. Only frames of the command that a step is
// about count, and only those of the side whose step it is.
func (b *bridge) exchange(sockets []socket) (*exchange, error) {
	e := &exchange{sent: map[string]map[string][]form{"js": {}, "go": {}}}
	add := func(side, step string, f form) {
		if !slices.Contains(e.steps, step) {
			e.steps = append(e.steps, step)
		}
		if e.sent[side] == nil {
			return
		}
		e.sent[side][step] = append(e.sent[side][step], f)
	}
	for _, s := range sockets {
		if len(s.frames) == 0 {
			continue
		}
		if peer := b.names[s.frames[0].peer]; peer != "<self>" && s.frames[0].peer != "" {
			continue // somebody that the scenario needs besides
		}
		if side, step, ok := strings.Cut(s.step, "|"); ok {
			_, title, _ := strings.Cut(step, "|")
			add(side, "upgrade|"+title, b.upgradeForm(s))
		}
		for _, f := range s.frames {
			side, step, ok := strings.Cut(f.step, "|")
			if !ok {
				continue
			}
			name := f.command.GetCmd().String()
			if f.command.Op != nil {
				name += "/" + f.command.GetOp().String()
			}
			if command, _, _ := strings.Cut(step, "|"); command != name {
				continue
			}
			described, err := b.frameForm(f)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.step, err)
			}
			add(side, step, described)
		}
	}
	return e, nil
}

// upgradeForm is what the request for the WebSocket connection says.
func (b *bridge) upgradeForm(s socket) form {
	out := form{"path": s.request.URL.Path}
	for _, header := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Origin", "User-Agent", "Cookie"} {
		if v := s.request.Header.Get(header); v != "" {
			out[header] = v
		}
	}
	return out
}

func (b *bridge) frameForm(f sent) (form, error) {
	out := form{"(opcode)": fmt.Sprintf("%#x", f.opcode), "(masked)": fmt.Sprint(f.masked)}
	order, err := fieldOrder(f.raw, f.command.ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	out["(order of fields)"] = order
	b.flatten(out, "", f.command.ProtoReflect())
	return out, nil
}

// fieldOrder tells how the fields of a serialized message follow each other.
func fieldOrder(raw []byte, d protoreflect.MessageDescriptor) (string, error) {
	last := protowire.Number(0)
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeField(raw)
		if n < 0 {
			return "", protowire.ParseError(n)
		}
		if number < last {
			return "not ascending", nil
		}
		last = number
		if fd := d.Fields().ByNumber(number); fd != nil && fd.Message() != nil && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(raw)
			inner, _ := protowire.ConsumeBytes(raw[tag:])
			if order, err := fieldOrder(inner, fd.Message()); err != nil || order != "ascending" {
				return order, err
			}
		}
		raw = raw[n:]
	}
	return "ascending", nil
}

// flatten adds all fields that are there, defaults too, under their paths.
func (b *bridge) flatten(out form, prefix string, m protoreflect.Message) {
	if len(m.GetUnknown()) > 0 {
		out[prefix+"(unknown)"] = fmt.Sprintf("%x", []byte(m.GetUnknown()))
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := prefix + string(fd.Name())
		switch {
		case fd.IsList():
			list := v.List()
			var values []string
			for i := range list.Len() {
				if fd.Message() != nil {
					b.flatten(out, fmt.Sprintf("%s[%d].", path, i), list.Get(i).Message())
				} else {
					values = append(values, b.value(path, list.Get(i).Interface()))
				}
			}
			if fd.Message() == nil {
				out[path] = strings.Join(values, " ")
			}
		case fd.Message() != nil:
			out[path] = "there"
			b.flatten(out, path+".", v.Message())
		case fd.Enum() != nil:
			out[path] = string(fd.Enum().Values().ByNumber(v.Enum()).Name())
		default:
			out[path] = b.value(path, v.Interface())
		}
		return true
	})
}

// value is a value with what differs from run to run named.
func (b *bridge) value(path string, v any) string {
	field := path[strings.LastIndexByte(path, '.')+1:]
	switch v := v.(type) {
	case string:
		switch field {
		case "st":
			return "<token>"
		case "n":
			return "<nonce>"
		case "dt":
			if regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(v) {
				return "<22 URL-safe characters>"
			}
		}
		return b.text(v)
	case int64:
		if math.Abs(float64(v-time.Now().UnixMilli())) < float64(time.Hour.Milliseconds()) {
			return "<now>"
		}
	case int32:
		if field == "i" {
			return "<serial>"
		}
	case []byte:
		return fmt.Sprintf("%x", v)
	}
	return fmt.Sprint(v)
}

func (b *bridge) text(s string) string {
	if name, ok := b.names[s]; ok {
		return name
	}
	if regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(s) {
		return "<uuid>"
	}
	if regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(s) {
		return "<signature>"
	}
	var parsed any
	if strings.HasPrefix(s, "{") && json.Unmarshal([]byte(s), &parsed) == nil {
		canonical, err := marshal(b.named(parsed))
		if err == nil {
			return canonical
		}
	}
	return fmt.Sprintf("%q", s)
}

// named names the values inside a JSON document.
func (b *bridge) named(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = b.named(value)
		}
	case []any:
		for i, value := range v {
			v[i] = b.named(value)
		}
	case string:
		if name, ok := b.names[v]; ok {
			return name
		}
	}
	return v
}

// marshal is JSON with sorted keys, readable in a document.
func marshal(v any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return strings.TrimSpace(out.String()), err
}

// difference is a field that the SDKs send differently, in some steps.
type difference struct {
	field  string
	values []string // by version, and of the Go SDK
	steps  []string
}

func (d difference) key() string { return cells(append([]string{d.field}, d.values...)) }

// where is the commands, with the steps where not all of a command differ.
func (d difference) where(all []string) string {
	var out []string
	for _, step := range all {
		command, title, _ := strings.Cut(step, "|")
		of := func(steps []string) (n int) {
			for _, other := range steps {
				if strings.HasPrefix(other, command+"|") {
					n++
				}
			}
			return n
		}
		if !slices.Contains(d.steps, step) {
			continue
		}
		place := "`" + command + "`"
		if of(d.steps) < of(all) {
			place += " (" + title + ")"
		}
		if !slices.Contains(out, place) {
			out = append(out, place)
		}
	}
	return strings.Join(out, ", ")
}

// cells is a row of a table, without its first and last bar.
func cells(values []string) string { return strings.Join(values, " | ") }

const absent = "absent"

// differences compares field by field, including presence.
func differences(t *testing.T, recorded map[string]*exchange) []difference {
	var out []difference
	first := recorded[versions()[0]]
	for _, step := range first.steps {
		command, _, _ := strings.Cut(step, "|")
		sent := func(version, side string) []form {
			all := recorded[version].sent[side][step]
			if command == "echo" { // their number is a matter of time
				all = all[:min(1, len(all))]
			}
			return all
		}
		frames := 0
		columns := make([][]form, 0, len(versions())+1)
		own := sent(versions()[0], "go")
		for _, version := range versions() {
			columns = append(columns, sent(version, "js"))
			if again := sent(version, "go"); !slices.EqualFunc(again, own, maps.Equal) {
				t.Errorf("%s: the Go SDK has sent %v, then %v", step, own, again)
			}
		}
		columns = append(columns, own)
		for _, c := range columns {
			frames = max(frames, len(c))
		}
		note := func(field string, values []string) {
			if slices.Min(values) == slices.Max(values) {
				return
			}
			d := difference{field: field, values: values}
			i := slices.IndexFunc(out, func(known difference) bool { return known.key() == d.key() })
			if i < 0 {
				i = len(out)
				out = append(out, d)
			}
			if !slices.Contains(out[i].steps, step) {
				out[i].steps = append(out[i].steps, step)
			}
		}
		var counts []string
		for _, c := range columns {
			counts = append(counts, fmt.Sprint(len(c)))
		}
		note("(frames)", counts)
		for i := range frames {
			fields := make(map[string]bool)
			for _, c := range columns {
				if i < len(c) {
					for field := range c[i] {
						fields[field] = true
					}
				}
			}
			for _, field := range slices.Sorted(maps.Keys(fields)) {
				var values []string
				for _, c := range columns {
					value := absent
					if i < len(c) {
						if v, ok := c[i][field]; ok {
							value = "`" + strings.ReplaceAll(v, "|", "\\|") + "`"
						}
					}
					values = append(values, value)
				}
				note("`"+field+"`", values)
			}
		}
	}
	if len(first.steps) == 0 {
		t.Error("nothing was recorded")
	}
	return out
}

// checkWire holds the document to the differences. The reasons in it are written
// by hand; -update keeps those of differences that are still there.
func checkWire(t *testing.T, steps []string, found []difference) {
	have, err := os.ReadFile(wireFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	reasons := make(map[string]string)
	for line := range strings.Lines(string(have)) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		if last := len(row) - 1; last > 2 {
			reasons[cells(row[:last-1])] = row[last]
		}
	}
	var out strings.Builder
	out.WriteString(wireHead)
	commands := make(map[string]int)
	for _, step := range steps {
		command, _, _ := strings.Cut(step, "|")
		commands[command]++
	}
	var names []string
	for _, command := range slices.Sorted(maps.Keys(commands)) {
		names = append(names, "`"+command+"`")
	}
	fmt.Fprintf(&out, "Compared: %d calls, which send %s.\n\n", len(steps), strings.Join(names, ", "))
	out.WriteString("| Field | 5.0.0-rc.8 | 4.3.1 | Go | Where | Why |\n|---|---|---|---|---|---|\n")
	for _, d := range found {
		reason := reasons[d.key()]
		if reason == "" {
			reason = noReason
		}
		if reason == noReason {
			t.Errorf("a difference without a reason: %s: %s", d.key(), d.where(steps))
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", d.key(), d.where(steps), reason)
	}
	if *update {
		if err := os.WriteFile(wireFile, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(have) {
		t.Errorf("%s is not what the SDKs have sent; go test ./interop -run TestWire -update writes it:\n%s", wireFile, out.String())
	}
}

const noReason = "?"

const wireHead = `# What the two SDKs put on the wire

The official JavaScript SDK and the Go SDK make the same calls; their bytes are recorded in front of the server, decoded,
and compared field by field, including whether a field is there at all. This is every difference. The list is written by a test
(` + "`go test ./interop -run TestWire -update`" + `), the reasons by hand; a new difference, or one that is gone, fails the test.

What differs from run to run is compared by its form: ` + "`<self>`, `<conv>` and the like are ids, `<now>` is a time, `<serial>` a number that counts up" + `. JSON is
compared as JSON: the order of keys and the escapes do not count.

`
