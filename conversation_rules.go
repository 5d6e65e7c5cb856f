package realtime

import "errors"

// The rules of what each kind of conversation supports. A call that breaks one
// fails here, with the code that the server would use, before anything is
// sent. Where the kind is not known for sure, the server decides.

// rule tells why an operation is impossible; nil: it is possible.
type rule func(s *convState) error

// anyKind allows all kinds, as long as they exist.
func anyKind(*convState) error { return nil }

// notTemporary allows all that can be changed: temporary conversations
// stay as they were made.
func notTemporary(s *convState) error {
	if s.kind == KindTemporary {
		return newError(ErrConversationReadOnly, "a temporary conversation cannot be changed")
	}
	return nil
}

func normalOnly(s *convState) error {
	if s.kind != KindNormal {
		return newError(ErrNormalConversationRequired, "not for a conversation of kind "+s.kind.String())
	}
	return nil
}

func serviceOnly(s *convState) error {
	if s.kind != KindService {
		return newError(ErrSystemConversationRequired, "not for a conversation of kind "+s.kind.String())
	}
	return nil
}

func chatRoomOnly(s *convState) error {
	if s.kind != KindChatRoom {
		return newError(ErrTransientConversationRequired, "not for a conversation of kind "+s.kind.String())
	}
	return nil
}

// membersChange allows to add and remove others.
func membersChange(s *convState) error {
	if err := notTemporary(s); err != nil {
		return err
	}
	return normalOnly(s)
}

// attributesChange allows to save attributes.
func attributesChange(s *convState) error {
	if s.kind == KindService {
		return newError(ErrConversationReadOnly, "clients cannot change a service conversation")
	}
	return notTemporary(s)
}

// withReceipts allows what has messages that others receive and read one by
// one.
func withReceipts(s *convState) error {
	if s.kind == KindTemporary {
		return nil
	}
	return normalOnly(s)
}

// allowed checks a rule.
func (c *Conversation) allowed(r rule) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.expired() {
		return expired()
	}
	if !c.state.sure {
		return nil
	}
	return r(&c.state)
}

func expired() *Error { return newError(ErrTemporaryConversationExpired, "") }

// failed is the error of a call on c. That a temporary conversation is not
// found means that it has ended.
func (c *Conversation) failed(err error) error {
	if err != nil && temporaryID(c.id) && errors.Is(err, ErrConversationNotFound) {
		return expired()
	}
	return err
}
