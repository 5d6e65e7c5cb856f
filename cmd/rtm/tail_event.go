package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/leanrtm/realtime"
)

// eventOut is an event on its way to the screen.
type eventOut struct {
	event        realtime.Event
	name         string
	fields       map[string]any // as JSON
	conversation string         // id; "": of none
	messageID    string
}

// describeEvent takes an event apart. Kinds of event may come that this program
// does not know: their fields are found by what they are.
func describeEvent(e realtime.Event) *eventOut {
	v := reflect.ValueOf(e).Elem()
	d := &eventOut{event: e, name: snake(strings.TrimSuffix(v.Type().Name(), "Event"))}
	d.fields = map[string]any{"event": d.name}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || v.Field(i).IsZero() {
			continue
		}
		name := snake(field.Name)
		switch x := v.Field(i).Interface().(type) {
		case *realtime.Conversation:
			d.conversation = x.ID()
			d.fields["conversation_id"] = x.ID()
		case *realtime.Message:
			if name == "message" {
				d.messageID = x.ID
			}
			d.fields[name] = describeMessage(x)
		default:
			d.fields[name] = plain(v.Field(i))
		}
	}
	return d
}

// plain is a value of a field as JSON.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Time:
		return timeText(x)
	case time.Duration:
		return x.String()
	case error:
		return x.Error()
	case []realtime.RecoveryFailure:
		var out []map[string]string
		for _, f := range x {
			out = append(out, map[string]string{"conversation_id": f.ConversationID, "error": fmt.Sprint(f.Err)})
		}
		return out
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				out[snake(field.Name)] = plain(v.Field(i))
			}
		}
		return out
	}
	return v.Interface()
}

// snake is a Go name as the name of a JSON member.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// text is an event as a line for people. where tells the conversation.
func (d *eventOut) text(where bool) string {
	prefix := ""
	if where && d.conversation != "" {
		prefix = "[" + d.conversation + "] "
	}
	what := ""
	var m *realtime.Message
	switch e := d.event.(type) {
	case *realtime.MessageEvent:
		m = e.Message
	case *realtime.MessageUpdateEvent:
		m, what = e.Message, "(edited) "
	case *realtime.MessageRecallEvent:
		m, what = e.Message, "(recalled) "
	}
	if m != nil {
		return fmt.Sprintf("%s[%s] %s: %s%s", prefix, m.Timestamp.Local().Format("15:04:05"), m.From, what, contentText(m))
	}
	var rest []string
	for _, name := range slices.Sorted(maps.Keys(d.fields)) {
		switch name {
		case "event", "heard_at", "conversation_id":
			continue
		}
		value := d.fields[name]
		if m, ok := value.(messageOut); ok {
			value = m.ID
		}
		rest = append(rest, fmt.Sprintf(" %s=%v", name, value))
	}
	return "· " + prefix + strings.ReplaceAll(d.name, "_", " ") + strings.Join(rest, "")
}
