package realtime

// Position tells how far messages of a client have been handled. It is opaque
// and made to be stored: MarshalText and UnmarshalText turn it into text and
// back. The zero value is no position.
type Position struct {
	notif int64 // serverTs of the last reliable notification
}
