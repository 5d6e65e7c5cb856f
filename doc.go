// Package realtime is a client of the LeanCloud realtime messaging protocol:
// it logs in clients, lets them talk in conversations, reads their history,
// and survives bad networks.
//
// # Quick start
//
// One [Realtime] is one connection to one app. Any number of clients share it:
//
//	rt, err := realtime.New(realtime.Options{
//		AppID: "…", AppKey: "…", Server: "https://api.example.com",
//	})
//	if err != nil {
//		return err
//	}
//	defer rt.Close(ctx)
//
//	tom, err := rt.CreateIMClient(ctx, "Tom") // connects and logs in
//	if err != nil {
//		return err
//	}
//	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{
//		Members: []string{"Jerry"}, Name: "Tom & Jerry",
//	})
//	if err != nil {
//		return err
//	}
//	msg, err := conv.Send(ctx, realtime.NewTextMessage("Jerry, get up!"))
//
// A client that listens registers its handlers first and opens then, so that
// it misses nothing:
//
//	jerry := rt.NewIMClient("Jerry")
//	jerry.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
//		switch c := e.Message.Content.(type) {
//		case *realtime.TextMessage:
//			fmt.Println(e.Message.From, c.Text)
//		}
//	})
//	err := jerry.Open(ctx)
//
// [IMClient.Events] gives the same events as one sequence to range over.
//
// # Calls
//
// Every call that may block takes a ctx, which bounds that call only; one
// without a deadline gets Options.CommandTimeout. Everything is safe for
// concurrent use unless it says otherwise.
//
// A refusal of the server is an [*Error], which matches its [ErrorCode]:
//
//	if errors.Is(err, realtime.ErrConversationNotFound) { … }
//
// A call fails with [ErrDisconnected] at once while there is no connection, and
// when the connection is lost before the answer. A timeout matches [ErrTimeout]
// and context.DeadlineExceeded, a cancelled ctx context.Canceled. If the server
// may have executed the call, the error also matches [ErrOutcomeUnknown];
// [SafeToRetry] tells whether the call can simply be repeated.
//
// Callers who ask for exactly the same at the same time share one command,
// unless it makes something new each time or is to fetch what is fresh. Nobody
// gets an answer from before a change that the program knows of.
//
// # Delivery contract
//
//  1. Handlers of one client and its conversations run one at a time, in the
//     order of the server, for each event those of the client before those of
//     the conversation. Different clients run in parallel. Handlers of a
//     Realtime run by themselves; there is no order between them and those of
//     its clients.
//  2. The state of conversations, such as members, unread counts and last
//     messages, is updated before a handler sees the event. Later changes may
//     already show as well; what belongs to the event is in the event.
//  3. The reader of the connection never waits for a handler: a handler may
//     call anything, also Close and its own stop, and a slow one delays
//     nothing but the later handlers of its client. Its ctx ends with the
//     client. Passed on to Close, it keeps Close from waiting for that very
//     handler.
//  4. Queues are bounded by Options.EventQueue and EventQueueBytes. A client
//     whose handlers fall that far behind gets what waits already, then ends
//     with [ErrEventOverflow]; so do all clients of a Realtime whose own
//     handlers do that. A stream that lags ends alone, with the same error.
//     Nothing is dropped or reordered in silence.
//  5. After a reconnect a client fetches what it missed, messages, edits and
//     what happened to conversations and their members, and delivers it in
//     order, each once, marked as recovered; then [RecoveredEvent] tells how
//     many messages there were and what could not be fetched in half a minute
//     of trying. What happens meanwhile is told afterwards. What was said while
//     the client was no member does not concern it; what it missed before it
//     was removed it gets when it is back.
//  6. Every send carries a token by which the server knows it again: a retry of
//     the same send, also across a reconnect, stores one message. A send that got
//     no answer is told to be sent if recovery finds its message.
//  7. A received message is acknowledged once it is queued for the handlers,
//     or with [WithAckAfterHandling] when they have returned. An acknowledgement
//     that may have been lost with the connection is sent again after the
//     reconnect, or by the client that goes on from the [Position].
//  8. Close may be called any number of times, ends waiting and dialling, and
//     waits for everything that runs here: nothing is left when it returns nil.
//
// After the stop function of a handler has returned, no call of that handler
// begins. ConflictEvent or CloseEvent is the last event of a client that did
// not end by its own Close.
//
// # Watching it
//
// [Realtime.Stats] and [IMClient.Stats] are counters and gauges, cheap enough to
// be read every second: connections and reconnects, commands and their refusals,
// traffic, sends by outcome, messages received and recovered, and what waits for
// handlers. [Observer] is told how long commands and handlers took.
//
// # Files
//
//	options.go, realtime*.go       Options, New, the connection and its states
//	client*.go, session*.go        IMClient: options, open and close, sessions, commands
//	conversation*.go, members*.go  Conversation of four kinds, members, roles
//	message.go, content*.go        Message and Content, message types
//	send*.go                       sending, editing, recalling
//	push*.go, receipt*.go          what the server tells; acknowledgements, read marks
//	position*.go, recovery*.go     what has been delivered, and what was missed
//	query*.go, iterator.go         finding conversations, reading history
//	events*.go, dispatch.go        events, OnX methods, streams, and how they run
//	errors*.go                     Error, codes, SafeToRetry
//	plugin.go, signer.go           extension points
//	stats.go, observer.go          counters and durations
//	json*.go, attributes.go        stored forms
//	rest.go                        requests over HTTP
package realtime
