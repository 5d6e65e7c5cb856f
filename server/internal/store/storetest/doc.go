// Package storetest is the conformance suite of store.Store: whatever passes it may
// serve the engine.
//
// Run covers each guard and operation by table cases, hostile ids, large values,
// sixteen concurrent writers, and a random sequence of batches whose every answer is
// compared with a model made of maps and sorts. The model is itself a
// store.Store and passes the suite.
//
// Run accepts any testing.TB. With a *testing.T every case is a subtest; with
// anything else the cases run one after the other until one fails, which is how the suite
// is tested: stores that break one promise each must fail it.
package storetest
