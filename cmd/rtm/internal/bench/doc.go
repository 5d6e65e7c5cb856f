// Package bench measures a messaging service as its clients see it: how much
// passes, how long it takes, what it costs the process that asks, and whether
// everything arrived, once, and in order.
//
// # How it is measured
//
// A run has streams. A stream does one thing after the other, so the number of
// streams is what is in flight. Every message carries the number of its stream,
// its own number in it, and when it was due; receivers hold it against what came
// before (ledger), so a message that is lost, doubled or out of order is found
// without remembering them all.
//
// Without a rate, a stream begins the next thing when the last one is done (a
// closed loop). What is slow is then asked less, so a stall counts once, for the
// things that were in flight. With a rate, things are due at fixed times, and
// latency counts from the time when something was due, not from when a stream
// was free to begin it: a stall counts for everything that it has delayed.
//
// Latencies are kept in high dynamic range histograms with three significant
// digits; the largest is exact.
//
// # Owners
//
// Run owns everything: it opens the clients, starts one goroutine per stream,
// waits for them, for what is still to arrive, and closes the clients. Handlers
// of clients only touch their own ledger, the recorders and the state of the
// stream that waits; each has its lock or is atomic, and no two are held at the
// same time. When ctx ends, streams begin nothing new, what is in flight may
// finish within the patience, and the report says that it was interrupted.
package bench
