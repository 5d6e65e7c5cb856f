// Package interop runs the official JavaScript SDKs, as they come from the
// registry, against this project: against the server, and against the Go SDK
// through the server.
//
// The cases are in js/cases; each is a subtest and belongs to a capability of
// the checklist. Most are written once for people (js/people) of either SDK and
// run in every direction; the others are about the official SDK alone. What a
// version cannot do is declared in the case, which must then fail as declared.
// docs/compatibility.md is the table of what they have shown:
//
//	go test ./interop -update
//
// writes it, and without the flag the test fails when it differs. TestWire
// records what the SDKs send for the same calls (js/wire.js) and holds it to
// docs/wire-differences.md in the same way.
//
// TestVersus compares how fast the official SDK, the Go SDK and plain REST calls
// do the same work, and what it costs them.
//
// The packages are installed once into the user's cache directory. Without
// Node.js, or when the packages cannot be had, the tests are skipped, unless CI
// is set: there they must run. RTM_CASE, a regular expression, runs some cases.
// Under the race detector what is JavaScript on both sides is left out where a Go
// side can take its place, and the table is not compared.
package interop
