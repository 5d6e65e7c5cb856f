// Package interop runs the official JavaScript SDKs, as they come from the
// registry, against this project: against the server, and against the Go SDK
// through the server. The cases are in js/cases; each is a subtest.
//
// The packages are installed once into the user's cache directory. Without
// Node.js, or when the packages cannot be had, the tests are skipped, unless CI
// is set: there they must run.
package interop
