package realtime

// ConversationQuery finds conversations. It is a builder: its methods change
// and return it, and mistakes are reported by Find, First and All. It is not
// for concurrent use.
type ConversationQuery struct {
	client *IMClient
}
