package realtime

// clientSync is what a client has to tell the server about itself when its
// session opens again.
type clientSync struct{}
