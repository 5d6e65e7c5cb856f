package wstest

import "time"

// Ready waits up to d for something to arrive. It returns false if nothing does,
// also when the connection has ended.
func (c *Conn) Ready(d time.Duration) bool {
	c.t.Helper()
	if err := c.Net.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false
	}
	_, err := c.br.Peek(1)
	if err := c.Net.SetReadDeadline(time.Time{}); err != nil {
		return false
	}
	return err == nil
}
