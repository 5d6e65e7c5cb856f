package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// sessionToken proves to the server, for some time, that a client is logged
// in.
type sessionToken struct {
	value   string
	ttl     time.Duration // 0: not told
	expires time.Time     // zero: not told
}

// tokenMargin is how long before its end a token is not used any more for
// REST, where a refusal costs a request; at most a tenth of its life.
const tokenMargin = 5 * time.Minute

func (t sessionToken) margin() time.Duration { return min(tokenMargin, t.ttl/10) }

// keepToken takes over the token of a reply, if it has one.
func (c *IMClient) keepToken(m *pb.SessionCommand) {
	if m.GetSt() == "" {
		return
	}
	t := &sessionToken{value: m.GetSt()}
	if m.GetStTtl() > 0 {
		t.ttl = time.Duration(m.GetStTtl()) * time.Second
		t.expires = time.Now().Add(t.ttl)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = t
}

// forgetToken drops a token that the server refused.
func (c *IMClient) forgetToken(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != nil && c.token.value == value {
		c.token = nil
	}
}

// outdateToken makes a token that the server refused expire now, so that it
// serves only to get a new one.
func (c *IMClient) outdateToken(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != nil && c.token.value == value {
		old := *c.token
		old.expires = time.Now()
		c.token = &old
	}
}

// currentToken returns the token and whether it is valid still.
func (c *IMClient) currentToken() (t sessionToken, valid bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == nil {
		return t, false
	}
	t = *c.token
	return t, (t.expires.IsZero() || time.Now().Before(t.expires))
}

// restToken returns a token for REST requests as this client, a fresh one if
// need be; "" if the server gives none.
func (c *IMClient) restToken(ctx context.Context) (string, error) {
	usable := func() (string, bool) {
		t, valid := c.currentToken()
		if t.value == "" {
			return "", true
		}
		return t.value, valid && (t.expires.IsZero() || time.Until(t.expires) > t.margin())
	}
	if token, ok := usable(); ok {
		return token, nil
	}
	select { // one refresh serves all who wait
	case c.refreshing <- struct{}{}:
		defer func() { <-c.refreshing }()
	case <-ctx.Done():
		return "", contextError(ctx)
	}
	if token, ok := usable(); ok {
		return token, nil
	}
	old, _ := c.currentToken()
	m := &pb.SessionCommand{Ua: proto.String(userAgent), St: proto.String(old.value)}
	if err := c.signSession(ctx, m); err != nil {
		return "", err
	}
	reply, err := c.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_session.Enum(), Op: pb.OpType_refresh.Enum(), SessionMessage: m,
	}, callOptions{safe: true})
	if err != nil {
		if errors.Is(err, ErrSessionTokenExpired) {
			c.forgetToken(old.value)
		}
		return "", err
	}
	c.keepToken(reply.GetSessionMessage())
	return reply.GetSessionMessage().GetSt(), nil
}

// sign asks the signer of the client. nil: the call goes unsigned. The caller
// need not fill in the app and the client.
func (c *IMClient) sign(ctx context.Context, r SignRequest) (*Signature, error) {
	if c.opts.signer == nil {
		return nil, nil
	}
	r.AppID, r.ClientID, r.Members = c.rt.opts.AppID, c.ID(), slices.Clone(r.Members)
	sig, err := c.opts.signer.Sign(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("realtime: sign %s: %w", r.Action, err)
	}
	if sig == (Signature{}) {
		return nil, nil
	}
	if sig.Signature == "" {
		return nil, invalidArgument("sign %s: malformed signature", r.Action)
	}
	return &sig, nil
}

// signSession signs a login or what counts as one.
func (c *IMClient) signSession(ctx context.Context, m *pb.SessionCommand) error {
	var sig *Signature
	var err error
	if c.opts.byUser {
		sig, err = c.signAsUser(ctx)
	} else {
		sig, err = c.sign(ctx, SignRequest{Action: SignLogin})
	}
	if err != nil || sig == nil {
		return err
	}
	m.S, m.T, m.N = &sig.Signature, &sig.Timestamp, &sig.Nonce
	return nil
}
