package realtime

// ClientOption is an option of [Realtime.NewIMClient] and
// [Realtime.CreateIMClient]. The interface is sealed.
type ClientOption interface{ applyClient(o *clientOptions) }

// clientOptions are the options of one client, collected.
type clientOptions struct {
	tag              string
	reconnect        bool
	signer           Signer
	hasSigner        bool
	userSession      string
	byUser           bool
	ackAfterHandling bool
	position         Position
	hasPosition      bool
	withoutRecovery  bool
}

type clientOption func(o *clientOptions)

func (f clientOption) applyClient(o *clientOptions) { f(o) }

// WithTag names the kind of device, such as "Mobile". Of the devices that log
// in as one client with one tag only the newest stays: the older one gets a
// [ConflictEvent]. The tag "default" is like none.
func WithTag(tag string) ClientOption {
	return clientOption(func(o *clientOptions) { o.tag = tag })
}

// WithReconnect makes Open fail with ErrSessionConflict if another device has
// taken over, instead of displacing it: for a program that comes back by
// itself, without its user.
func WithReconnect() ClientOption {
	return clientOption(func(o *clientOptions) { o.reconnect = true })
}

// WithSigner has s sign the login of the client and what it does to the
// members of conversations.
func WithSigner(s Signer) ClientOption {
	return clientOption(func(o *clientOptions) { o.signer, o.hasSigner = s, true })
}

// WithUserSession logs in as the built-in user of this session token. The id
// of the client may then be "": the server tells it.
func WithUserSession(token string) ClientOption {
	return clientOption(func(o *clientOptions) { o.userSession, o.byUser = token, true })
}

// WithAckAfterHandling acknowledges a message when its handlers have returned.
// By default that is done when the message is queued for them.
func WithAckAfterHandling() ClientOption {
	return clientOption(func(o *clientOptions) { o.ackAfterHandling = true })
}

// WithPosition makes the first Open fetch what came after p, as a reconnect
// does.
func WithPosition(p Position) ClientOption {
	return clientOption(func(o *clientOptions) { o.position, o.hasPosition = p, true })
}

// WithoutRecovery does not fetch what was missed while away.
func WithoutRecovery() ClientOption {
	return clientOption(func(o *clientOptions) { o.withoutRecovery = true })
}
