// Package realtimetest runs the messaging server inside a test and breaks it
// on demand. It is to package realtime what net/http/httptest is to net/http.
//
//	func TestGreeting(t *testing.T) {
//		s := realtimetest.NewServer(t)
//		rt, err := realtime.New(s.Options()) // what the code under test is given
//		…
//		jerry := s.Client("Jerry") // somebody to talk to
//		s.Cut("Tom")               // and a bad network
//	}
//
// The server is the one of package server, with its memory store: what it
// answers is what a real server answers. Its network is in memory as well, so a
// test may run in a testing/synctest bubble, where hours of backoff pass at once
// and every run is the same; start the server inside the bubble then. When
// another process has to connect, serve [Server.Handler] on a real port; all
// faults work there too.
//
// # Faults
//
// There are three layers of them.
//
//   - The network: [Server.Cut], [Server.CutMidFrame], [Server.Blackhole],
//     [Server.Refuse], [WithLatency].
//   - Single commands and pushes: [Server.Inject] with an [Action] such as
//     [LoseAnswer] or [CutAfter].
//   - The server's own doings: [Server.GoAway], [Server.ExpireTokens],
//     [Server.Displace], [Server.Restart].
//
// A client that a method names must have been logged in at some time, else the
// test fails: a misspelt id would make a fault that never happens. A client that
// is merely away has no connection to break, which is no mistake.
//
// All methods may be called from any goroutine, also from handlers of clients,
// except for those that can fail the test at once ([NewServer], [Server.Client],
// [Server.Displace], [Server.Inject] and [Server.Restart]): as with
// testing.TB.FailNow, they belong to the goroutine of the test.
package realtimetest
