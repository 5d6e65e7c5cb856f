package realtime

// convCache holds the conversations of one client.
type convCache struct {
	client *IMClient
}
