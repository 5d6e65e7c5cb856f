package server

import (
	"context"
	"errors"
	"fmt"
)

// HookFailure says what follows when a hook that decides gives no decision: it
// returns an error, its time is up, or it panics.
type HookFailure int

// The answers.
const (
	HookFailureProceeds HookFailure = iota // as if there were no hook
	HookFailureRefuses                     // as if the hook had refused
)

// refusedDetail is what clients are told when a hook failed, and no more: why is
// for the log.
const refusedDetail = "the app's hook failed"

// refusing returns hooks that refuse where those of h fail. Hooks that only
// listen stay as they are, and so does the one about offline receivers: their
// message has been sent.
func (h HookFailure) refusing(hooks *Hooks, failed func(what string, err error)) *Hooks {
	if h != HookFailureRefuses || hooks == nil {
		return hooks
	}
	out := *hooks
	dropped := MessageVerdict{Drop: true, Detail: refusedDetail}
	rejected := Verdict{Reject: true, Detail: refusedDetail}
	out.MessageReceived = refuseOnFailure("message received", out.MessageReceived, dropped, failed)
	out.MessageUpdate = refuseOnFailure("message update", out.MessageUpdate, dropped, failed)
	out.ConversationStart = refuseOnFailure("conversation start", out.ConversationStart, rejected, failed)
	out.ConversationAdd = refuseOnFailure("conversation add", out.ConversationAdd, rejected, failed)
	out.ConversationRemove = refuseOnFailure("conversation remove", out.ConversationRemove, rejected, failed)
	out.ConversationUpdate = refuseOnFailure("conversation update", out.ConversationUpdate, UpdateVerdict{Verdict: rejected}, failed)
	return &out
}

var errHookPanicked = errors.New("hook panicked")

// refuseOnFailure returns a hook that decides like h, or as given if h fails.
func refuseOnFailure[E, V any](what string, h func(context.Context, *E) (V, error), refusal V, failed func(string, error)) func(context.Context, *E) (V, error) {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, e *E) (v V, err error) {
		defer func() {
			if p := recover(); p != nil {
				failed(what, fmt.Errorf("%w: %v", errHookPanicked, p))
				v, err = refusal, nil
			}
		}()
		v, err = h(ctx, e)
		if err != nil {
			failed(what, err)
			return refusal, nil
		}
		return v, nil
	}
}
