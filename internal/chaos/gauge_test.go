package chaos_test

import (
	"testing/synctest"
	"time"

	"github.com/leanrtm/realtime"
)

// longGone is how long the server may take a connection for open that is not: it
// waits for what it does not hear any more.
const longGone = 7 * time.Minute

// checkQuiet: nobody waits for anything now that all is said and told.
func (w *world) checkQuiet() {
	time.Sleep(5 * time.Second) // after what the checks themselves caused
	synctest.Wait()
	for _, d := range w.devices {
		for _, l := range d.lives {
			w.wantZero(d.name, l.client.Stats())
		}
		st := d.rt.Stats()
		w.wantZero(d.name+", all lives", st.Sum)
		if st.Clients != 1 || st.EventsWaiting != 0 {
			w.complain("%s: %d clients are attached, %d events wait", d, st.Clients, st.EventsWaiting)
		}
	}
	st := w.s.Stats()
	if st.QueueFrames != 0 || st.QueueBytes != 0 || st.HooksWaiting != 0 {
		w.complain("the server has %d frames of %d bytes and %d hooks waiting", st.QueueFrames, st.QueueBytes, st.HooksWaiting)
	}
	if st.WatermarkLag > time.Second {
		w.complain("the server is %v behind its clock", st.WatermarkLag)
	}
}

// wantZero complains about gauges that tell of something that is still to come.
func (w *world) wantZero(whose string, st realtime.ClientStats) {
	if st.SendsInFlight != 0 || st.SendsWaiting != 0 || st.PushesWaiting != 0 || st.EventsWaiting != 0 {
		w.complain("%s: %d sends in flight, %d retried, %d pushes and %d events waiting", whose,
			st.SendsInFlight, st.SendsWaiting, st.PushesWaiting, st.EventsWaiting)
	}
}

// checkGone: nothing is left when everybody has gone.
func (w *world) checkGone() {
	for _, d := range w.devices {
		if st := d.rt.Stats(); st.Clients != 0 || st.State != realtime.StateClosed {
			w.complain("%s: closed, in state %v, with %d clients", d, st.State, st.Clients)
		}
	}
	time.Sleep(longGone)
	st := w.s.Stats()
	if st.Connections != 0 || st.Sessions != 0 || st.QueueFrames != 0 || st.QueueBytes != 0 {
		w.complain("the server has %d connections, %d sessions, %d frames of %d bytes left",
			st.Connections, st.Sessions, st.QueueFrames, st.QueueBytes)
	}
	var ended uint64
	for _, n := range st.Disconnects {
		ended += n
	}
	if st.ConnectionsAccepted != ended || st.Panics != 0 || st.StoreErrors != 0 || st.CommitFailures != 0 {
		w.complain("the server had %d connections and ended %d, with %d panics, %d errors of the store, %d failed commits",
			st.ConnectionsAccepted, ended, st.Panics, st.StoreErrors, st.CommitFailures)
	}
}
