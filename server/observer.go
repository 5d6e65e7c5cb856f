package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/server/internal/session"
)

// Observer is told how long things took, which Stats cannot tell: a sum would
// hide the slow ones. Each function is called once for each thing, on whatever
// goroutine did it and at times with locks of the server held: it must be quick,
// must not block and must not use the server. A field that is nil costs
// nothing, not even the look at the clock.
type Observer struct {
	Command func(CommandObservation)
	Commit  func(CommitObservation)
	Hook    func(HookObservation)
}

// CommandObservation is a command of a client that was executed.
type CommandObservation struct {
	// Name is the command's and its operation's, such as "direct" or
	// "conv/start". There are about 60 different ones, whatever clients send.
	Name string
	Took time.Duration // until it was answered and nothing of it ran any more
	Code int           // of the error that it was answered with; 0: none, or it has no answer
}

// CommitObservation is one call of the store that wrote.
type CommitObservation struct {
	Batches int
	Failed  int // of Batches
	Took    time.Duration
}

// HookObservation is one call of a hook.
type HookObservation struct {
	Name string // as in HookNames, and "ServiceMessage"
	Took time.Duration
	Err  error // also of a panic; nil for hooks that only listen
}

// The names of the hooks that have none over HTTP.
const (
	hookServiceMessage = "ServiceMessage"
	hookOfflinePush    = "OfflinePush"
)

// commandKey is a command and its operation; an operation of 0 stands for none.
type commandKey struct {
	cmd pb.CommandType
	op  pb.OpType
}

// commandNames names what clients may ask for. What else they send goes by the
// command alone, so that they cannot make up names.
func commandNames() map[commandKey]string {
	names := make(map[commandKey]string)
	for number, name := range pb.CommandType_name {
		names[commandKey{cmd: pb.CommandType(number)}] = name
	}
	for cmd, ops := range map[pb.CommandType][]pb.OpType{
		pb.CommandType_session: {pb.OpType_open, pb.OpType_close, pb.OpType_refresh, pb.OpType_query},
		pb.CommandType_conv: {
			pb.OpType_start, pb.OpType_query, pb.OpType_add, pb.OpType_remove, pb.OpType_update, pb.OpType_mute, pb.OpType_unmute,
			pb.OpType_count, pb.OpType_members, pb.OpType_is_member, pb.OpType_max_read, pb.OpType_member_info_update,
			pb.OpType_add_shutup, pb.OpType_remove_shutup, pb.OpType_query_shutup, pb.OpType_check_shutup,
		},
		pb.CommandType_patch:     {pb.OpType_modify, pb.OpType_modified},
		pb.CommandType_blacklist: {pb.OpType_block, pb.OpType_unblock, pb.OpType_query, pb.OpType_check_block},
	} {
		for _, op := range ops {
			names[commandKey{cmd, op}] = cmd.String() + "/" + op.String()
		}
	}
	return names
}

// commands returns what sessions tell of commands; nil if nobody wants to know.
func (o *Observer) commands() func(session.Observation) {
	if o == nil || o.Command == nil {
		return nil
	}
	names, observe := commandNames(), o.Command
	return func(c session.Observation) {
		name, ok := names[commandKey{c.Cmd, c.Op}]
		if !ok {
			name = names[commandKey{cmd: c.Cmd}]
		}
		observe(CommandObservation{Name: name, Took: c.Took, Code: int(c.Code)})
	}
}

// hookCounts counts calls of hooks.
type hookCounts struct {
	observe         func(HookObservation) // nil: nobody wants to know
	calls, failures atomic.Uint64
}

// counted returns hooks that are counted. nil stays nil, all of them and each.
func (c *hookCounts) counted(h *Hooks) *Hooks {
	if h == nil {
		return nil
	}
	return &Hooks{
		MessageReceived:     countDecision(c, HookMessageReceived, h.MessageReceived),
		ReceiversOffline:    countDecision(c, HookReceiversOffline, h.ReceiversOffline),
		OfflinePush:         countListener(c, hookOfflinePush, h.OfflinePush),
		MessageSent:         countListener(c, HookMessageSent, h.MessageSent),
		MessageUpdate:       countDecision(c, HookMessageUpdate, h.MessageUpdate),
		ConversationStart:   countDecision(c, HookConversationStart, h.ConversationStart),
		ConversationStarted: countListener(c, HookConversationStarted, h.ConversationStarted),
		ConversationAdd:     countDecision(c, HookConversationAdd, h.ConversationAdd),
		ConversationAdded:   countListener(c, HookConversationAdded, h.ConversationAdded),
		ConversationRemove:  countDecision(c, HookConversationRemove, h.ConversationRemove),
		ConversationRemoved: countListener(c, HookConversationRemoved, h.ConversationRemoved),
		ConversationUpdate:  countDecision(c, HookConversationUpdate, h.ConversationUpdate),
		ClientOnline:        countListener(c, HookClientOnline, h.ClientOnline),
		ClientOffline:       countListener(c, HookClientOffline, h.ClientOffline),
		ServiceMessage:      countListener(c, hookServiceMessage, h.ServiceMessage),
	}
}

func countDecision[E, V any](c *hookCounts, name string, h func(context.Context, *E) (V, error)) func(context.Context, *E) (V, error) {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, e *E) (v V, err error) {
		end := c.begin(name)
		defer func() { end(err) }()
		err = errHookPanicked // unless it returns
		v, err = h(ctx, e)
		return v, err
	}
}

func countListener[E any](c *hookCounts, name string, h func(context.Context, *E)) func(context.Context, *E) {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, e *E) {
		end := c.begin(name)
		err := errHookPanicked // unless it returns
		defer func() { end(err) }()
		h(ctx, e)
		err = nil
	}
}

// begin returns what is to be called when the hook has ended.
func (c *hookCounts) begin(name string) func(error) {
	var begun time.Time
	if c.observe != nil {
		begun = time.Now()
	}
	return func(err error) {
		c.calls.Add(1)
		if err != nil {
			c.failures.Add(1)
		}
		if c.observe != nil {
			c.observe(HookObservation{Name: name, Took: time.Since(begun), Err: err})
		}
	}
}
