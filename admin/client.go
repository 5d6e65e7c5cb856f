package admin

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
)

// Client administers one app. It is safe for concurrent use and needs no
// closing.
type Client struct {
	opts    Options
	base    *url.URL
	http    *http.Client // takes the credentials off when it is led elsewhere
	parser  *realtime.MessageParser
	quotas  quotas
	timeout time.Duration
}

// New returns a client. It does no I/O and reports all mistakes at once, which
// match realtime.ErrInvalidArgument.
func New(o Options) (*Client, error) {
	base, mistakes := o.complete()
	parser, err := realtime.NewMessageParser(o.Plugins...)
	if err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("admin: %w: %w", realtime.ErrInvalidArgument, errors.Join(mistakes...))
	}
	return &Client{
		opts: o, base: base, http: keepSecrets(o.HTTPClient), parser: parser, quotas: newQuotas(o.Quota),
		timeout: attemptTimeout,
	}, nil
}

// String names the app and the server.
func (c *Client) String() string {
	return fmt.Sprintf("admin.Client{AppID:%q Server:%q}", c.opts.AppID, c.base.Redacted())
}

// GoString is the same as String.
func (c *Client) GoString() string { return c.String() }

// The headers of the API.
const (
	headerID   = "X-LC-Id"
	headerKey  = "X-LC-Key"
	headerSign = "X-LC-Sign"
)

// master marks a key or signature as that of the master.
const master = ",master"

// authorize adds the credentials to a request.
func (c *Client) authorize(h http.Header) {
	h.Set(headerID, c.opts.AppID)
	if !c.opts.SignRequests {
		h.Set(headerKey, c.opts.MasterKey+master)
		return
	}
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	sum := md5.Sum([]byte(timestamp + c.opts.MasterKey))
	h.Set(headerSign, hex.EncodeToString(sum[:])+","+timestamp+master)
}

// Do sends a REST request. One with a relative URL, such as
// "/1.1/classes/Todo", goes to the server with the credentials of the master;
// one with an absolute URL goes where it says, as it is, without them. It is
// sent once. The answer is the caller's to close, whatever its status. It blocks
// as http.Client.Do does, and obeys the context of req.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if req == nil || req.URL == nil {
		return nil, invalidArgument("Do: no request URL")
	}
	if req.URL.Host != "" {
		return c.opts.HTTPClient.Do(req)
	}
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.URL.User = c.base.Scheme, c.base.Host, c.base.User
	out.URL.Path = c.base.Path + "/" + strings.TrimLeft(req.URL.Path, "/")
	if req.URL.RawPath != "" {
		out.URL.RawPath = c.base.EscapedPath() + "/" + strings.TrimLeft(req.URL.RawPath, "/")
	}
	out.Host, out.RequestURI = "", ""
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	c.authorize(out.Header)
	resp, err := c.http.Do(out)
	if err != nil {
		return nil, fmt.Errorf("admin: %s %s: %w", out.Method, out.URL.Path, withoutURL(err))
	}
	return resp, nil
}

// withoutURL takes the URL, whose query may hold secrets, out of the error of an
// http.Client.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// secretHeaders must not follow a redirect to another server.
func secretHeaders() []string { return []string{headerKey, headerSign, "X-LC-Session"} }

const maxRedirects = 10

// keepSecrets is an http.Client that gives its secrets to nobody else: it takes
// them off a request that is redirected to another server.
func keepSecrets(client *http.Client) *http.Client {
	kept := *client
	next := client.CheckRedirect
	kept.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			for _, name := range secretHeaders() {
				req.Header.Del(name)
			}
		}
		if next != nil {
			return next(req, via)
		}
		if len(via) >= maxRedirects {
			return fmt.Errorf("stopped after %d redirects", maxRedirects)
		}
		return nil
	}
	return &kept
}

// Conversation is the handle of a normal or temporary conversation.
func (c *Client) Conversation(id string) *Conversation {
	return &Conversation{target{c, normal, id}}
}

// ChatRoom is the handle of a chat room.
func (c *Client) ChatRoom(id string) *ChatRoom { return &ChatRoom{target{c, rooms, id}} }

// ServiceConversation is the handle of a service conversation.
func (c *Client) ServiceConversation(id string) *ServiceConversation {
	return &ServiceConversation{target{c, services, id}}
}

// IMClient is the handle of a client of the app.
func (c *Client) IMClient(id string) *IMClient { return &IMClient{c, id} }
