package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/leanrtm/realtime"
)

// printer writes results: for people, or as one JSON object per line.
type printer struct {
	out  io.Writer
	json bool
}

func (p *printer) flag(flags *pflag.FlagSet) {
	flags.BoolVar(&p.json, "json", false, "print JSON, one object per line")
}

// result writes a value as JSON, or what text says. Whatever others wrote cannot
// do harm to the terminal: JSON escapes it, and line takes it out.
func (p *printer) result(value any, format string, args ...any) error {
	if !p.json {
		return p.line(format, args...)
	}
	text, err := jsonText(value)
	if err != nil {
		return err
	}
	if _, err := p.out.Write(text); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (p *printer) line(format string, args ...any) error {
	if _, err := fmt.Fprintln(p.out, harmlessLine(fmt.Sprintf(format, args...))); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// harmlessLine is harmless with the tabs left, which are ours.
func harmlessLine(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = harmless(parts[i])
	}
	return strings.Join(parts, "\t")
}

// jsonText is a value as a line of JSON.
func jsonText(value any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return []byte(b.String()), nil
}

// timeFormat is how times are printed for programs.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

// messageOut is a message as JSON.
type messageOut struct {
	ID             string   `json:"id"`
	ConversationID string   `json:"conversation_id"`
	From           string   `json:"from"`
	Timestamp      string   `json:"timestamp,omitempty"`
	UpdatedAt      string   `json:"updated_at,omitempty"`
	DeliveredAt    string   `json:"delivered_at,omitempty"`
	Transient      bool     `json:"transient,omitempty"`
	Mention        []string `json:"mention,omitempty"`
	MentionAll     bool     `json:"mention_all,omitempty"`
	Type           int      `json:"type"`
	Text           string   `json:"text,omitempty"`
	// One of these is the content as it came over the wire.
	Content json.RawMessage `json:"content,omitempty"`
	Raw     string          `json:"raw,omitempty"`
	Binary  string          `json:"binary,omitempty"` // base64
}

func describeMessage(m *realtime.Message) messageOut {
	out := messageOut{
		ID: m.ID, ConversationID: m.ConversationID, From: m.From,
		Timestamp: timeText(m.Timestamp), UpdatedAt: timeText(m.UpdatedAt), DeliveredAt: timeText(m.DeliveredAt),
		Transient: m.Transient, Mention: m.MentionList, MentionAll: m.MentionedAll, Type: m.Type(), Text: m.Text(),
	}
	payload := m.Payload()
	switch _, binary := m.Content.(*realtime.BinaryMessage); {
	case binary:
		out.Binary = base64.StdEncoding.EncodeToString(payload)
	case json.Valid(payload):
		out.Content = payload
	default:
		out.Raw = string(payload)
	}
	return out
}

// contentText is what a message says, for people.
func contentText(m *realtime.Message) string {
	if s := m.Text(); s != "" {
		return s
	}
	if s := m.Summary(); s != "" {
		return s
	}
	switch content := m.Content.(type) {
	case *realtime.RawMessage:
		return content.Data
	case *realtime.BinaryMessage:
		return fmt.Sprintf("(%d bytes)", len(content.Data))
	case *realtime.RecalledMessage:
		return "(recalled)"
	}
	return fmt.Sprintf("(a message of type %d)", m.Type())
}
