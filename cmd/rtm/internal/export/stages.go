package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// errOrder ends a list that would otherwise go round in circles.
var errOrder = errors.New("export: the server changes the order of conversations from page to page")

// listPage asks for conversations after an id, or by counting.
func (s *source) listPage(ctx context.Context, c *cursor, size int) ([]json.RawMessage, []conversation, error) {
	query := url.Values{"limit": {strconv.Itoa(size)}, "order": {"objectId"}}
	switch {
	case c.Unsorted:
		query.Set("skip", strconv.Itoa(c.Skip))
	case c.Last != "":
		where, err := json.Marshal(map[string]any{"objectId": map[string]string{"$gt": c.Last}})
		if err != nil {
			return nil, nil, fmt.Errorf("export: %w", err)
		}
		query.Set("where", string(where))
	}
	var answer struct {
		Results []json.RawMessage `json:"results"`
	}
	if err := s.get(ctx, "all-conversations", query, &answer); err != nil {
		return nil, nil, err
	}
	convs := make([]conversation, len(answer.Results))
	for i, text := range answer.Results {
		var err error
		if convs[i], err = decode[conversation](text, "conversation"); err != nil {
			return nil, nil, err
		}
		if convs[i].ID == "" {
			return nil, nil, errors.New("export: the server lists a conversation without an id")
		}
	}
	return answer.Results, convs, nil
}

// list goes through all conversations by their ids, which do not change: what is
// created or deleted meanwhile moves nothing. A server that does not sort its
// first page is asked by counting instead; what comes twice is left out, for
// which known must tell the ids that an earlier run has seen. page is called
// with what is new, after the cursor has moved past it.
func (s *source) list(
	ctx context.Context, c *cursor, size int, known func() (map[string]bool, error),
	page func(texts []json.RawMessage, convs []conversation) error,
) error {
	var seen map[string]bool
	for {
		texts, convs, err := s.listPage(ctx, c, size)
		if err != nil {
			return interruptedError{err}
		}
		if len(convs) == 0 {
			return nil
		}
		sorted := true
		last := c.Last
		for i := range convs {
			sorted = sorted && convs[i].ID > last
			last = convs[i].ID
		}
		switch {
		case c.Unsorted, sorted:
		case c.Last == "":
			c.Unsorted = true
		default:
			return errOrder
		}
		if !c.Unsorted {
			c.Last = last
			if err := page(texts, convs); err != nil {
				return err
			}
			continue
		}
		if seen == nil {
			if seen, err = known(); err != nil {
				return err
			}
		}
		c.Skip += len(convs)
		n := 0
		for i := range convs {
			if seen[convs[i].ID] {
				continue
			}
			seen[convs[i].ID] = true
			texts[n], convs[n] = texts[i], convs[i]
			n++
		}
		if err := page(texts[:n], convs[:n]); err != nil {
			return err
		}
	}
}

// conversations lists the conversations of all kinds.
func (r *runner) conversations(ctx context.Context) error {
	out := r.out[conversationsFile]
	known := func() (map[string]bool, error) {
		if err := out.sync(); err != nil { // it is read again
			return nil, err
		}
		return knownConversations(r.opts.Dir)
	}
	return r.source.list(ctx, &r.Cursor, r.opts.PageSize, known, func(texts []json.RawMessage, convs []conversation) error {
		for i := range texts {
			if err := out.line(texts[i]); err != nil {
				return err
			}
			r.Kinds[convs[i].collection()]++
		}
		return r.advance(Progress{Stage: stageConversations, Lines: out.lines, Total: -1, Done: -1})
	})
}

// knownConversations are those that the export has.
func knownConversations(dir string) (map[string]bool, error) {
	known := make(map[string]bool)
	for e, err := range lines(dir, conversationsFile, 0) {
		if err != nil {
			return nil, err
		}
		c, err := decode[conversation](e.text, "conversation")
		if err != nil {
			return nil, err
		}
		known[c.ID] = true
	}
	return known, nil
}

// messages goes through the history of the app, from old to new.
func (r *runner) messages(ctx context.Context) error {
	// The end of the range must be over.
	if err := sleep(ctx, time.Until(r.Started.Add(time.Second+settling))); err != nil {
		return interruptedError{err}
	}
	out := r.out[messagesFile]
	for {
		query := r.window()
		query.Set("reversed", "true")
		if r.Cursor.Last != "" {
			setPoint(query, r.Cursor.Time, r.Cursor.Last)
		}
		var page []json.RawMessage
		if err := r.source.get(ctx, stageMessages, query, &page); err != nil {
			return interruptedError{err}
		}
		if len(page) == 0 {
			if end := r.progressOf(stageMessages, out.lines, 0); out.lines > 0 {
				end.Done = 1 // the last message may be long before the end of the range
				r.opts.Progress(end)
			}
			return nil
		}
		var m message
		for i, text := range page {
			var err error
			if m, err = decode[message](text, stageMessages); err != nil {
				return err
			}
			if m.Timestamp < r.Cursor.Time || m.Timestamp == r.Cursor.Time && m.ID == r.Cursor.Last {
				return fmt.Errorf("export: the server goes back in time at message %q, from %d to %d", m.ID, r.Cursor.Time, m.Timestamp)
			}
			if i == 0 && r.First == 0 {
				r.First = m.Timestamp
			}
			if err := out.line(text); err != nil {
				return err
			}
			r.Cursor.Time, r.Cursor.Last = m.Timestamp, m.ID
		}
		r.Last = m.Timestamp
		if err := r.advance(r.progressOf(stageMessages, out.lines, r.Last-r.First)); err != nil {
			return err
		}
	}
}

// progressOf is how far a walk through the messages has got, by time.
func (r *runner) progressOf(stage string, n, gone int64) Progress {
	p := Progress{Stage: stage, Lines: n, Total: -1, Done: -1, At: time.UnixMilli(r.Last)}
	if whole := r.Until - r.First; whole > 0 {
		p.Done = float64(gone) / float64(whole)
	}
	return p
}

// window is the query for the messages of the export, from old to new.
func (r *runner) window() url.Values {
	query := url.Values{
		"limit":          {strconv.Itoa(r.opts.PageSize)},
		"till_timestamp": {strconv.FormatInt(r.Until, 10)},
		"include_stop":   {"true"},
	}
	if r.Since != 0 {
		query.Set("timestamp", strconv.FormatInt(r.Since, 10))
		query.Set("include_start", "true")
	}
	return query
}

// setPoint lets a query begin after a message.
func setPoint(query url.Values, ms int64, id string) {
	query.Set("timestamp", strconv.FormatInt(ms, 10))
	query.Set("msgid", id)
	query.Set("include_start", "false")
}

// broadcasts lists the broadcasts that are valid. They are few, and they move when
// there is a new one: they are one unit.
func (r *runner) broadcasts(ctx context.Context) error {
	var all []json.RawMessage
	seen := make(map[string]bool)
	for skip := 0; ; {
		query := url.Values{"limit": {strconv.Itoa(r.opts.PageSize)}, "skip": {strconv.Itoa(skip)}}
		var page []json.RawMessage
		if err := r.source.get(ctx, stageBroadcasts, query, &page); err != nil {
			if reason := tolerable(err); reason != "" {
				r.addGap(missing{what: stageBroadcasts, reason: reason})
				return nil
			}
			return interruptedError{err}
		}
		if len(page) == 0 {
			break
		}
		skip += len(page)
		for _, text := range page {
			m, err := decode[message](text, stageBroadcasts)
			if err != nil {
				return err
			}
			if !seen[m.ID] {
				seen[m.ID] = true
				all = append(all, text)
			}
		}
	}
	out := r.out[broadcastsFile]
	for _, text := range all {
		if err := out.line(text); err != nil {
			return err
		}
	}
	return r.advance(Progress{Stage: stageBroadcasts, Lines: out.lines, Total: out.lines, Done: 1})
}
