package link

// SetSerial makes the next command get the serial after this one.
func (l *Link) SetSerial(serial int32) { l.serial.Store(uint32(serial)) }

// LaterSerial is laterSerial.
func LaterSerial(a, b uint32) bool { return laterSerial(a, b) }

// After is after.
var After = after
