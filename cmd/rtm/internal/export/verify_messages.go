package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
)

// moment is the messages of one millisecond, whose order nobody promises.
type moment struct {
	time int64
	ids  []string
}

// moments groups messages by their time. An error is the last pair.
func moments(messages iter.Seq2[message, error]) iter.Seq2[moment, error] {
	return func(yield func(moment, error) bool) {
		var m moment
		for next, err := range messages {
			if err != nil {
				yield(moment{}, err)
				return
			}
			if next.Timestamp != m.time && len(m.ids) > 0 {
				if !yield(m, nil) {
					return
				}
				m = moment{}
			}
			m.time, m.ids = next.Timestamp, append(m.ids, next.ConversationID+"/"+next.ID)
		}
		if len(m.ids) > 0 {
			yield(m, nil)
		}
	}
}

// sourceMessages reads the messages in the range of the export from new to old,
// which is not the direction in which they were exported.
func (v *verifier) sourceMessages(ctx context.Context) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		query := url.Values{
			"limit":     {strconv.Itoa(v.opts.PageSize)},
			"timestamp": {strconv.FormatInt(v.manifest.Until.UnixMilli(), 10)}, "include_start": {"true"},
		}
		if v.manifest.Since != nil {
			query.Set("till_timestamp", strconv.FormatInt(v.manifest.Since.UnixMilli(), 10))
			query.Set("include_stop", "true")
		}
		last := message{Timestamp: v.manifest.Until.UnixMilli()}
		for {
			var page []message
			if err := v.source.get(ctx, stageMessages, query, &page); err != nil {
				yield(message{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, m := range page {
				if m.Timestamp > last.Timestamp || m.ID == last.ID && m.ConversationID == last.ConversationID {
					yield(message{}, fmt.Errorf("export: the server goes forward in time at message %q", m.ID))
					return
				}
				last = m
				if !yield(m, nil) {
					return
				}
			}
			setPoint(query, last.Timestamp, last.ID)
		}
	}
}

// exportedMessages reads the messages of the export from new to old, and chooses
// the sample on the way: each message has the same chance.
func (v *verifier) exportedMessages(sample *[]json.RawMessage) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		n := 0
		for text, err := range linesBackwards(v.opts.Dir, messagesFile) {
			if err != nil {
				yield(message{}, err)
				return
			}
			m, err := decode[message](text, stageMessages)
			if err != nil {
				yield(message{}, err)
				return
			}
			n++
			switch i := rand.IntN(n); {
			case len(*sample) < v.sample:
				*sample = append(*sample, slices.Clone(text))
			case i < v.sample:
				(*sample)[i] = slices.Clone(text)
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// messages compares the ids of all messages, and the sample in full.
func (v *verifier) messages(ctx context.Context) error {
	var sample []json.RawMessage
	theirs, stop := iter.Pull2(moments(v.sourceMessages(ctx)))
	defer stop()
	ours, stopOurs := iter.Pull2(moments(v.exportedMessages(&sample)))
	defer stopOurs()
	their, errTheir, more := theirs()
	our, errOur, moreOurs := ours()
	var n int64
	for more || moreOurs {
		if errTheir != nil {
			return errTheir
		}
		if errOur != nil {
			return errOur
		}
		before := n
		switch {
		case !moreOurs || more && their.time > our.time:
			v.compare(their.ids, nil)
			n += int64(len(their.ids))
			their, errTheir, more = theirs()
		case !more || our.time > their.time:
			v.compare(nil, our.ids)
			our, errOur, moreOurs = ours()
		default:
			v.compare(their.ids, our.ids)
			n += int64(len(their.ids))
			their, errTheir, more = theirs()
			our, errOur, moreOurs = ours()
		}
		if n/int64(v.opts.PageSize) != before/int64(v.opts.PageSize) {
			v.opts.Progress(share("verify "+stageMessages, n, v.manifest.Counts.Messages))
		}
	}
	v.report.Source.Messages = n
	return v.compareSample(ctx, sample)
}

// compare tells which messages of one moment are on one side only.
func (v *verifier) compare(their, our []string) {
	slices.Sort(their)
	slices.Sort(our)
	for len(their) > 0 || len(our) > 0 {
		switch {
		case len(our) == 0 || len(their) > 0 && their[0] < our[0]:
			v.report.add(messagesFile, their[0], diffMissing)
			their = their[1:]
		case len(their) == 0 || our[0] < their[0]:
			v.report.add(messagesFile, our[0], diffGone)
			our = our[1:]
		default:
			their, our = their[1:], our[1:]
		}
	}
}

// compareSample asks for messages one by one.
func (v *verifier) compareSample(ctx context.Context, sample []json.RawMessage) error {
	collections, err := v.collections()
	if err != nil {
		return err
	}
	for i, text := range sample {
		m, err := decode[message](text, stageMessages)
		if err != nil {
			return err
		}
		if err := v.compareMessage(ctx, collections, &m, text); err != nil {
			return err
		}
		v.report.Sampled++
		v.opts.Progress(share("verify sample", int64(i+1), int64(len(sample))))
	}
	return nil
}

// collections are those of the conversations that have a history of their own
// with all its messages. That of a service conversation lacks what was sent to
// single clients.
func (v *verifier) collections() (map[string]string, error) {
	found := make(map[string]string)
	for e, err := range lines(v.opts.Dir, conversationsFile, 0) {
		if err != nil {
			return nil, err
		}
		c, err := decode[conversation](e.text, "conversation")
		if err != nil {
			return nil, err
		}
		if collection := c.collection(); collection != services {
			found[c.ID] = collection
		}
	}
	return found, nil
}

func (v *verifier) compareMessage(ctx context.Context, collections map[string]string, m *message, ours json.RawMessage) error {
	path := stageMessages
	if collection, ok := collections[m.ConversationID]; ok {
		path = at(collection, m.ConversationID, stageMessages)
	}
	query := url.Values{"limit": {listLimit}, "reversed": {"true"}}
	setPoint(query, m.Timestamp, m.ID)
	query.Set("include_start", "true")
	query.Set("till_timestamp", strconv.FormatInt(m.Timestamp, 10))
	query.Set("include_stop", "true")
	var page []json.RawMessage
	if err := v.source.get(ctx, path, query, &page); err != nil {
		if tolerable(err) == "" {
			return err
		}
		return nil // the conversation is gone, which was said before
	}
	for _, theirs := range page {
		their, err := decode[message](theirs, stageMessages)
		if err != nil {
			return err
		}
		if their.ID != m.ID || their.ConversationID != m.ConversationID {
			continue
		}
		if their.PatchTimestamp != m.PatchTimestamp {
			v.report.Changed++
			return nil
		}
		same, err := equal(ours, theirs)
		if err != nil {
			return err
		}
		if !same {
			v.report.add(messagesFile, m.ConversationID+"/"+m.ID, diffOther)
		}
		return nil
	}
	// Whether it is still there was compared before.
	if path != stageMessages {
		v.report.add(messagesFile, m.ConversationID+"/"+m.ID, diffGone+", or not in the history of its conversation")
	}
	return nil
}

// equal compares two messages. The time of delivery is told in some lists only,
// and may come later.
func equal(a, b json.RawMessage) (bool, error) {
	var sides [2][]byte
	for i, text := range []json.RawMessage{a, b} {
		m, err := decode[map[string]json.RawMessage](text, stageMessages)
		if err != nil {
			return false, err
		}
		delete(m, "ack-at")
		if sides[i], err = json.Marshal(m); err != nil {
			return false, fmt.Errorf("export: %w", err)
		}
	}
	return bytes.Equal(sides[0], sides[1]), nil
}
