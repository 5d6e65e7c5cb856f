package link

import (
	"context"
	"errors"
	"testing/synctest"
)

// SetSerial makes the next command get the serial after this one.
func (l *Link) SetSerial(serial int32) { l.serial.Store(uint32(serial)) }

// LaterSerial is laterSerial.
func LaterSerial(a, b uint32) bool { return laterSerial(a, b) }

// After is after.
var After = after

// Hold keeps the owner busy: what happens waits, in the order in which it
// happens, until release is called. It returns when the owner is busy.
func (l *Link) Hold() (release func()) {
	busy, released := make(chan struct{}), make(chan struct{})
	if !l.mail.open() || !l.mail.post(func() { close(busy); <-released }) {
		panic("the link is closed")
	}
	<-busy
	return func() { close(released) }
}

// Waiting returns how many steps wait for their turn.
func (l *Link) Waiting() int {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	return len(l.mail.waiting)
}

// DialDead has the link take the result of a dial whose connection has died, and
// has told so, before. It is for bubbles.
func (l *Link) DialDead(url string) error {
	l.mail.open()
	lv, err := l.connectTo(context.Background(), url)
	if err != nil {
		return err
	}
	lv.conn.Kill(errors.New("died at once"))
	synctest.Wait()
	d := &dial{cancel: func() {}, result: make(chan dialResult, 1)}
	d.result <- dialResult{live: lv, endpoints: []string{url}}
	l.ask(func(o *owner) {
		o.dial = d
		o.dialEnded(d)
	})
	return nil
}

// TimerFunc is what the timer of the present plan does when it goes off.
func (l *Link) TimerFunc() (late func()) {
	l.ask(func(o *owner) {
		plan := o.plan
		late = func() { l.mail.post(func() { o.planDue(plan) }) }
	})
	return late
}

// DiedFunc is what the present connection does when it dies.
func (l *Link) DiedFunc() (late func()) {
	l.ask(func(o *owner) {
		lv := o.live
		late = func() { l.mail.post(func() { o.died(lv) }) }
	})
	return late
}
