package export

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"sync"
)

// details is what the lists of a conversation tell. A list that its kind does
// not have, or that is a gap, is absent.
type details struct {
	ID       string            `json:"conv_id"`
	Kind     string            `json:"kind"` // the collection in the paths of the API
	Members  *[]string         `json:"members,omitempty"`
	Muted    *[]string         `json:"notifications_muted,omitempty"`
	Silenced *[]string         `json:"silenced,omitempty"` // may not speak
	Blocked  *[]string         `json:"blocked,omitempty"`
	Roles    []json.RawMessage `json:"roles,omitempty"`
	Gone     bool              `json:"gone,omitempty"` // deleted, or ended, before it could be asked for
	missing  []missing
	err      error
}

// whole reads a list that comes at once.
func (s *source) whole(ctx context.Context, segments ...string) (*[]string, error) {
	var answer struct {
		Result []string `json:"result"`
	}
	if err := s.get(ctx, at(segments...), nil, &answer); err != nil {
		return nil, err
	}
	if answer.Result == nil {
		answer.Result = []string{}
	}
	return &answer.Result, nil
}

// listLimit is what the lists that come in pages are asked for.
const listLimit = "100"

// paged reads a list that comes in pages.
func (s *source) paged(ctx context.Context, segments ...string) (*[]string, error) {
	all := []string{}
	for next := ""; ; {
		query := url.Values{"limit": {listLimit}}
		if next != "" {
			query.Set("next", next)
		}
		var answer struct {
			ClientIDs []string `json:"client_ids"`
			Next      string   `json:"next"`
		}
		if err := s.get(ctx, at(segments...), query, &answer); err != nil {
			return nil, err
		}
		all = append(all, answer.ClientIDs...)
		if answer.Next == "" || answer.Next == next {
			return &all, nil
		}
		next = answer.Next
	}
}

// roles reads the roles of members, those that were ever set.
func (s *source) roles(ctx context.Context, id string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for {
		query := url.Values{"limit": {listLimit}, "skip": {strconv.Itoa(len(all))}}
		var answer struct {
			Results []json.RawMessage `json:"results"`
		}
		if err := s.get(ctx, at(normal, id, "member-infos"), query, &answer); err != nil {
			return nil, err
		}
		if len(answer.Results) == 0 {
			return all, nil
		}
		all = append(all, answer.Results...)
	}
}

// detailsOf asks for everything about a conversation.
func (s *source) detailsOf(ctx context.Context, c *conversation) *details {
	d := &details{ID: c.ID, Kind: c.collection()}
	ask := func(what string, get func() error) {
		if d.err != nil {
			return
		}
		err := get()
		if reason := tolerable(err); reason != "" {
			d.missing = append(d.missing, missing{what, reason, c.ID})
		} else if err != nil {
			d.err = err
		}
	}
	list := func(to **[]string, read func(ctx context.Context, segments ...string) (*[]string, error), name string) {
		ask(name, func() (err error) {
			*to, err = read(ctx, d.Kind, c.ID, name)
			return err
		})
	}
	if d.Kind == normal {
		list(&d.Members, s.whole, "members")
		list(&d.Muted, s.whole, "mutes")
		ask("member-infos", func() (err error) {
			d.Roles, err = s.roles(ctx, c.ID)
			return err
		})
	}
	if d.Kind != services {
		list(&d.Silenced, s.paged, "permanent-silenceds")
	}
	list(&d.Blocked, s.paged, "blacklists")
	return d
}

// details goes through the conversations and asks for the lists of each. A unit
// is as many of them as are asked for at the same time.
func (r *runner) details(ctx context.Context) error {
	total := r.out[conversationsFile].lines
	batch := make([]conversation, 0, r.opts.Parallel)
	var end int64
	for e, err := range lines(r.opts.Dir, conversationsFile, r.Cursor.Offset) {
		if err != nil {
			return err
		}
		c, err := decode[conversation](e.text, "conversation")
		if err != nil {
			return err
		}
		batch, end = append(batch, c), e.end
		if len(batch) == r.opts.Parallel {
			if err := r.detailsUnit(ctx, batch, end, total); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return r.detailsUnit(ctx, batch, end, total)
}

func (r *runner) detailsUnit(ctx context.Context, batch []conversation, end, total int64) error {
	if len(batch) == 0 {
		return nil
	}
	found := make([]*details, len(batch))
	var asking sync.WaitGroup
	for i := range batch {
		asking.Go(func() { found[i] = r.source.detailsOf(ctx, &batch[i]) })
	}
	asking.Wait()
	var failed []error
	for _, d := range found {
		failed = append(failed, d.err)
	}
	if err := errors.Join(failed...); err != nil {
		return interruptedError{err}
	}
	out := r.out[detailsFile]
	for _, d := range found {
		for _, m := range d.missing {
			r.addGap(m)
		}
		if err := out.encode(d); err != nil {
			return err
		}
	}
	r.Cursor.Offset = end
	return r.advance(share(stageDetails, out.lines, total))
}

// share is progress through something of known length.
func share(stage string, lines, total int64) Progress {
	p := Progress{Stage: stage, Lines: lines, Total: total, Done: 1}
	if total > 0 {
		p.Done = float64(lines) / float64(total)
	}
	return p
}

// subscriptionLimit is the most that one request for subscribers gives.
const subscriptionLimit = "50"

// subscribers goes through the service conversations and lists who subscribes.
func (r *runner) subscribers(ctx context.Context) error {
	for e, err := range lines(r.opts.Dir, conversationsFile, r.Cursor.Offset) {
		if err != nil {
			return err
		}
		c, err := decode[conversation](e.text, "conversation")
		if err != nil {
			return err
		}
		if c.collection() == services {
			if err := r.subscribersOf(ctx, c.ID); err != nil {
				return err
			}
		}
		r.Cursor = cursor{Offset: e.end}
	}
	return nil
}

// subscribersOf lists the subscribers of a conversation in the order of their
// ids, from the cursor on. A unit is a page.
func (r *runner) subscribersOf(ctx context.Context, id string) error {
	out := r.out[subscribersFile]
	for {
		query := url.Values{"limit": {subscriptionLimit}}
		if r.Cursor.Last != "" {
			query.Set("client_id", r.Cursor.Last)
		}
		var page []json.RawMessage
		if err := r.source.get(ctx, at(services, id, stageSubscribers), query, &page); err != nil {
			if reason := tolerable(err); reason != "" {
				r.addGap(missing{stageSubscribers, reason, id})
				return nil
			}
			return interruptedError{err}
		}
		if len(page) == 0 {
			return nil
		}
		for _, text := range page {
			s, err := decode[subscription](text, "subscription")
			if err != nil {
				return err
			}
			if err := out.line(text); err != nil {
				return err
			}
			r.Cursor.Last = s.Subscriber
		}
		if err := r.advance(Progress{Stage: stageSubscribers, Lines: out.lines, Total: -1, Done: -1}); err != nil {
			return err
		}
	}
}

// unlisted goes through the messages for conversations that no list has. They are
// found in the same order every time, so the number of lines is the cursor.
func (r *runner) unlisted(ctx context.Context) error {
	known, err := knownConversations(r.opts.Dir)
	if err != nil {
		return err
	}
	out := r.out[unlistedFile]
	skip := out.lines // that an earlier run has asked for
	var n int64
	for e, err := range lines(r.opts.Dir, messagesFile, 0) {
		if err != nil {
			return err
		}
		m, err := decode[message](e.text, stageMessages)
		if err != nil {
			return err
		}
		if known[m.ConversationID] {
			continue
		}
		known[m.ConversationID] = true
		if n++; n <= skip {
			continue
		}
		d := &details{ID: m.ConversationID, Kind: normal}
		d.Members, err = r.source.whole(ctx, normal, m.ConversationID, "members")
		if err != nil {
			if tolerable(err) == "" {
				return interruptedError{err}
			}
			d.Gone = true // it has ended, as temporary ones do, or was deleted
		}
		if err := out.encode(d); err != nil {
			return err
		}
		if err := r.advance(Progress{Stage: stageUnlisted, Lines: out.lines, Total: -1, Done: -1}); err != nil {
			return err
		}
	}
	return nil
}
