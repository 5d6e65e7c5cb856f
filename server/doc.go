// Package server is a realtime messaging server that speaks the LeanCloud
// protocol. It is an http.Handler: it runs inside a test, inside your program,
// or on its own.
//
//	srv, err := server.New(server.Options{
//		Apps: []server.App{{ID: "…", Key: "…", MasterKey: "…"}},
//	})
//	if err != nil { … }
//	hs := &http.Server{Addr: ":8080", Handler: srv}
//	go hs.ListenAndServe()
//	…
//	srv.Shutdown(ctx) // the WebSocket connections, which http.Server does not know
//	hs.Shutdown(ctx)
//
// # What it serves
//
// A WebSocket upgrade on any path is a connection of a client. Everything else
// goes by path: /v1/route tells clients the address of the socket. Put it
// behind any proxy that passes upgrades; with TLS ended there, the proxy must
// send X-Forwarded-Proto, or Options.SocketURL must be set.
//
// Data is kept in memory and lost when the process ends.
//
// # Hooks
//
// [Hooks] are Go functions of the app, or with [HTTPHooks] its endpoints, that
// decide about what is to happen or are told of what has happened. What the
// protocol's documentation leaves open is decided like this:
//
//   - MessageReceived is asked about messages from clients, wills included, and
//     about those that the REST interface sends to a conversation, a chat room or
//     named clients of a service conversation: MessageReceived.Admin tells them
//     apart. It is not asked about broadcasts, which have no list of recipients
//     and come from the app itself. MessageSent tells of all of them.
//   - It is asked once for each send: not about a repeated one with a token that
//     was sent before.
//   - The sender is not among the recipients. Its other devices get the message
//     whatever the hook says of the recipients.
//   - Recipients that a verdict leaves out get no push now. The message is in the
//     history of their conversation all the same; of messages to named clients of
//     a service conversation they get no copy at all.
//   - The verdict of ReceiversOffline is for Hooks.OfflinePush, which hands
//     notifications to a push service of the app's own. The server has none.
//
// # Watching it
//
// [Server.Stats] has counters and gauges: connections by how they ended,
// sessions, logins, commands and refusals by code, traffic, what waits for slow
// receivers and what they lost, the store, hooks. [Observer] is told how long
// commands, writes to the store and hooks took.
//
// # Trust
//
// docs/security.md lists what may be thrown at the server, what stops it, and the
// limits to set on the open internet. Rates are off by default.
//
// A client is trusted with nothing. A frame that is too large, that does not
// decode, or that breaks the WebSocket protocol ends its own connection. Apps
// whose clients must be known switch on the verification of signatures. A
// signature allows one operation: who overhears it cannot use it again. A login
// may be repeated on the connection on which it has succeeded, since shipped
// clients do that when the answer is late. Kicking a client voids what was signed
// for its logins before. All that is remembered in the process, so after a
// restart a signature works once more until its six hours are over.
package server
