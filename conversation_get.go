package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// FetchOption is an option of the calls that answer from what is known. The
// interface is sealed.
type FetchOption interface{ applyFetch(o *fetchOptions) }

type fetchOptions struct{ withoutCache bool }

type withoutCache struct{}

func (withoutCache) applyFetch(o *fetchOptions) { o.withoutCache = true }

// WithoutCache asks the server even for what is known already.
func WithoutCache() FetchOption { return withoutCache{} }

func collectFetch(opts []FetchOption) (o fetchOptions, err error) {
	for _, opt := range opts {
		if opt == nil {
			return o, invalidArgument("nil FetchOption")
		}
		opt.applyFetch(&o)
	}
	return o, nil
}

// fetchBatch is how many conversations one query asks for by id, and
// fetchParallel how many such queries run at a time.
const (
	fetchBatch    = 100
	fetchParallel = 4
)

// GetConversation returns the conversation of an id, of any kind and whether
// or not the client is a member. It asks the server unless the conversation is
// known already. If there is none, the error matches ErrConversationNotFound;
// the conversation is nil only beside an error.
func (c *IMClient) GetConversation(ctx context.Context, id string, opts ...FetchOption) (*Conversation, error) {
	convs, err := c.GetConversations(ctx, []string{id}, opts...)
	if err != nil {
		return nil, err
	}
	if len(convs) == 0 {
		return nil, newError(ErrConversationNotFound, fmt.Sprintf("conversation %q", id))
	}
	return convs[0], nil
}

// GetConversations returns the conversations of several ids, in the order of
// ids, and leaves out those that do not exist. It asks the server for those
// that are not known already, any number in batches.
func (c *IMClient) GetConversations(ctx context.Context, ids []string, opts ...FetchOption) ([]*Conversation, error) {
	o, err := collectFetch(opts)
	if err != nil {
		return nil, err
	}
	if slices.Contains(ids, "") {
		return nil, invalidArgument("the id of a conversation is empty")
	}
	if err := c.usable(ctx); err != nil {
		return nil, err
	}
	// Held by this map, what is found cannot disappear meanwhile.
	found := make(map[string]*Conversation, len(ids))
	var missing []string
	for _, id := range ids {
		if _, seen := found[id]; seen {
			continue
		}
		conv := c.convs.lookup(id)
		if conv != nil && !o.withoutCache && conv.snapshot().known {
			found[id] = conv
			continue
		}
		found[id] = nil
		missing = append(missing, id)
	}
	fetched, err := c.fetchConversations(ctx, missing, o.withoutCache)
	if err != nil {
		return nil, err
	}
	for _, conv := range fetched {
		found[conv.id] = conv
	}
	out := make([]*Conversation, 0, len(ids))
	for _, id := range ids {
		if conv := found[id]; conv != nil {
			out = append(out, conv)
		}
	}
	return out, nil
}

// fetchConversations asks the server for conversations by id. alone: the answer
// to an identical question on its way already will not do.
func (c *IMClient) fetchConversations(ctx context.Context, ids []string, alone bool) ([]*Conversation, error) {
	var normal, temporary []string
	for _, id := range ids {
		if temporaryID(id) {
			temporary = append(temporary, id)
		} else {
			normal = append(normal, id)
		}
	}
	var questions []*pb.ConvCommand
	for batch := range slices.Chunk(normal, fetchBatch) {
		where, err := whereIDs(batch)
		if err != nil {
			return nil, err
		}
		questions = append(questions, &pb.ConvCommand{
			Where: &pb.JsonObjectMessage{Data: &where}, Limit: proto.Int32(int32(len(batch))),
		})
	}
	for batch := range slices.Chunk(temporary, fetchBatch) {
		questions = append(questions, &pb.ConvCommand{TempConvIds: batch})
	}
	ask := func(ctx context.Context, q *pb.ConvCommand) ([]*Conversation, error) {
		return c.queryConversations(ctx, q, alone)
	}
	if len(questions) == 1 {
		return ask(ctx, questions[0])
	}
	return inParallel(ctx, fetchParallel, questions, ask)
}

// whereIDs is the filter for conversations by id.
func whereIDs(ids []string) (string, error) {
	var where any = map[string]any{"objectId": ids[0]}
	if len(ids) > 1 {
		where = map[string]any{"objectId": map[string]any{"$in": ids}}
	}
	out, err := marshalJSON(where)
	return string(out), err
}

// queryConversations asks one question and keeps what the answer tells.
func (c *IMClient) queryConversations(ctx context.Context, q *pb.ConvCommand, alone bool) ([]*Conversation, error) {
	found, err := c.queryStored(ctx, q, alone)
	if err != nil {
		return nil, err
	}
	out := make([]*Conversation, len(found))
	for i, data := range found {
		out[i] = c.convs.learn(data)
	}
	return out, nil
}

// queryStored asks one question.
func (c *IMClient) queryStored(ctx context.Context, q *pb.ConvCommand, alone bool) ([]*convData, error) {
	reply, err := c.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_query.Enum(), ConvMessage: q,
	}, callOptions{alone: alone, safe: true})
	if err != nil {
		return nil, err
	}
	return c.parseStored(reply.GetConvMessage().GetResults().GetData())
}

// inParallel runs f for all items, at most n at a time, and joins the results
// in the order of the items. The first failure ends the others.
func inParallel[T, R any](ctx context.Context, n int, items []T, f func(ctx context.Context, item T) ([]R, error)) ([]R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make([][]R, len(items))
	next := make(chan int)
	var workers sync.WaitGroup
	var failed error
	var once sync.Once
	for range min(n, len(items)) {
		workers.Go(func() { // ends when next is closed below
			for i := range next {
				var err error
				if results[i], err = f(ctx, items[i]); err != nil {
					once.Do(func() { failed = err })
					cancel()
				}
			}
		})
	}
	for i := range items {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	switch {
	case failed != nil:
		return nil, failed
	case ctx.Err() != nil: // before all were begun
		return nil, contextError(ctx)
	}
	return slices.Concat(results...), nil
}

// retryUnknown is how long a conversation that could not be fetched is left
// alone when it is pushed about again.
const retryUnknown = time.Minute

// asked reports whether the conversation is known, or could not be fetched a
// moment ago.
func (c *Conversation) asked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.known || time.Since(c.state.triedAt) < retryUnknown
}

// conversationOf returns the conversation that a push is about, fetching it if
// need be. If that fails, what is returned knows its id and kind alone.
func (c *IMClient) conversationOf(ctx context.Context, id string, kind Kind) *Conversation {
	conv := c.convs.lookup(id)
	if conv != nil && conv.asked() {
		return conv
	}
	c.prefetch(ctx, []string{id})
	conv = c.convs.bare(id, kind)
	conv.update(func(s *convState) {
		if !s.known {
			s.triedAt = time.Now()
		}
	})
	return conv
}

// prefetch fetches those of the conversations that are not known, in one go.
func (c *IMClient) prefetch(ctx context.Context, ids []string) {
	var missing []string
	for _, id := range ids {
		if id == "" || slices.Contains(missing, id) {
			continue
		}
		if conv := c.convs.lookup(id); conv == nil || !conv.snapshot().known {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return
	}
	if _, err := c.fetchConversations(ctx, missing, false); err != nil && !errors.Is(err, context.Canceled) {
		c.log.Debug("fetching conversations that were pushed about failed", "conv_ids", missing, "error", err)
	}
}

// Fetch asks the server for the state of the conversation, which this object
// then shows. The error matches ErrConversationNotFound, or for a temporary
// conversation ErrTemporaryConversationExpired, if it is gone.
func (c *Conversation) Fetch(ctx context.Context) error {
	convs, err := c.client.fetchConversations(ctx, []string{c.id}, true)
	if err == nil && len(convs) == 0 {
		err = newError(ErrConversationNotFound, fmt.Sprintf("conversation %q", c.id))
	}
	return c.failed(err)
}
