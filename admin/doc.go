// Package admin administers an app over its REST API, with the master key: for
// game servers and other back ends. It works with the cloud and with package
// server alike.
//
//	c, err := admin.New(admin.Options{AppID: "…", MasterKey: "…", Server: "https://api.example.com"})
//	gm := c.ServiceConversation("5f…")
//	_, err = gm.BroadcastToSubscribers(ctx, admin.Broadcast{
//		From: "GM", Content: realtime.NewTextMessage("The dragon has landed."),
//	})
//	for m, err := range c.Conversation("5e…").Messages(ctx, realtime.MessageQuery{}) { … }
//
// A [Client] has no connection of its own and is never closed. A handle such as
// [Conversation] is an id with a kind: making one does no I/O and checks
// nothing. All methods of all types are safe for concurrent use; those that
// take a context block until the answer is there or the context ends.
//
// The master key may do everything in the app. It belongs on servers: whoever
// has a program can read the keys in it. It appears in no error and no log.
//
// # Retries
//
// A request goes through these states:
//
//	waiting ──quota──> sent ──answer 2xx──> done
//	   ^                 │
//	   │                 ├─ refused (4xx) ────────────────────> failed
//	   └── backoff ──────┴─ no answer, 500, 502, 503 or 504 ──> failed, after the last attempt
//
// Requests that can be repeated without a second effect, which are all but
// sends and the creation of conversations that are not unique, are tried up to
// four times, with half a second, one and two seconds between, and jitter. Each
// attempt may take twenty seconds. A message or broadcast is sent once, unless
// [Options.RetrySends] is set: then every attempt carries the same token, by
// which package server knows them as one; other servers may not. A server that
// says, in Retry-After of an answer 429 or 503, when to come back is obeyed if that
// is within a minute and before the deadline of ctx; else the call fails. What was
// answered with 429 and does not say so is not repeated.
//
// # Errors
//
// A refusal is a *realtime.Error with HTTPStatus; its code matches under
// errors.Is. Too many requests (429) match realtime.ErrMessageSentQuotaExceeded
// for messages and broadcasts and realtime.ErrConversationAPIQuotaExceeded for
// all else, unless the server names a code itself. A call that may have been
// executed although no answer says so also matches realtime.ErrOutcomeUnknown.
// [realtime.SafeToRetry] knows which calls can be made again in any case.
// Mistakes that are found here match realtime.ErrInvalidArgument.
package admin
