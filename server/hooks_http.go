package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// HTTPHooks are hooks that the app answers at HTTP endpoints.
//
// Each hook is a POST of a JSON object to URL, a slash and the hook's name, with
// the app's id in the header X-LC-Id. The answer is a JSON object with the
// decision, bare or under "result"; an empty one, or no body at all, lets things
// proceed. Any status but 2xx, an answer that cannot be read, and one that does
// not come in time are failures of the hook: Options.HookFailure says what
// follows. Binary content travels in base64, marked by "bin".
//
// Hooks that only listen are called one after the other. An endpoint that falls
// far behind misses calls, which is logged.
type HTTPHooks struct {
	// URL is what the hooks' names are added to. Required, unless only
	// ServiceMessageURL is set.
	URL string
	// Only are the names of the hooks that are called; empty: all. See HookNames.
	// Each hook that decides makes its operation wait for the endpoint.
	Only []string
	// ServiceMessageURL is posted what users write to service conversations, as
	// a JSON array of one message, up to three times more if it fails; "": nobody.
	ServiceMessageURL string
	// Header is added to each request: to prove who is calling, for instance.
	Header http.Header
	// Client makes the requests; nil: one with http.DefaultTransport.
	Client *http.Client
	// Timeout is for one request; default 5 s. Hooks that decide are also bound by
	// Options.HookTimeout.
	Timeout time.Duration
	// Logger is told when a hook that only listens fails; nil: nobody is.
	Logger *slog.Logger
}

// The names of hooks over HTTP.
const (
	HookMessageReceived     = "_messageReceived"
	HookReceiversOffline    = "_receiversOffline"
	HookMessageSent         = "_messageSent"
	HookMessageUpdate       = "_messageUpdate"
	HookConversationStart   = "_conversationStart"
	HookConversationStarted = "_conversationStarted"
	HookConversationAdd     = "_conversationAdd"
	HookConversationAdded   = "_conversationAdded"
	HookConversationRemove  = "_conversationRemove"
	HookConversationRemoved = "_conversationRemoved"
	HookConversationUpdate  = "_conversationUpdate"
	HookClientOnline        = "_clientOnline"
	HookClientOffline       = "_clientOffline"
)

// HookNames returns the names of all hooks over HTTP.
func HookNames() []string {
	return []string{
		HookMessageReceived, HookReceiversOffline, HookMessageSent, HookMessageUpdate,
		HookConversationStart, HookConversationStarted, HookConversationAdd, HookConversationAdded,
		HookConversationRemove, HookConversationRemoved, HookConversationUpdate,
		HookClientOnline, HookClientOffline,
	}
}

// Bounds of hooks over HTTP.
const (
	defaultHTTPHookTimeout = 5 * time.Second
	maxHookAnswer          = 1 << 20
	serviceMessageTries    = 4
	serviceMessageDelay    = time.Second // before the second try, doubled every time
)

// Hooks returns functions that call the endpoints, for Options.Hooks, or all that
// is wrong. Functions can be replaced in what it returns, to answer some hooks in
// the process.
func (h HTTPHooks) Hooks() (*Hooks, error) {
	c, err := h.caller()
	if err != nil {
		return nil, err
	}
	hooks := new(Hooks)
	wants := func(name string) bool {
		return h.URL != "" && (len(h.Only) == 0 || slices.Contains(h.Only, name))
	}
	if wants(HookMessageReceived) {
		hooks.MessageReceived = c.messageReceived
	}
	if wants(HookReceiversOffline) {
		hooks.ReceiversOffline = c.receiversOffline
	}
	if wants(HookMessageSent) {
		hooks.MessageSent = c.messageSent
	}
	if wants(HookMessageUpdate) {
		hooks.MessageUpdate = c.messageUpdate
	}
	if wants(HookConversationStart) {
		hooks.ConversationStart = c.conversationStart
	}
	if wants(HookConversationStarted) {
		hooks.ConversationStarted = c.conversationStarted
	}
	if wants(HookConversationAdd) {
		hooks.ConversationAdd = c.membersDecision(HookConversationAdd)
	}
	if wants(HookConversationAdded) {
		hooks.ConversationAdded = c.membersNotice(HookConversationAdded)
	}
	if wants(HookConversationRemove) {
		hooks.ConversationRemove = c.membersDecision(HookConversationRemove)
	}
	if wants(HookConversationRemoved) {
		hooks.ConversationRemoved = c.membersNotice(HookConversationRemoved)
	}
	if wants(HookConversationUpdate) {
		hooks.ConversationUpdate = c.conversationUpdate
	}
	if wants(HookClientOnline) {
		hooks.ClientOnline = c.clientOnline
	}
	if wants(HookClientOffline) {
		hooks.ClientOffline = c.clientOffline
	}
	if h.ServiceMessageURL != "" {
		hooks.ServiceMessage = c.serviceMessage
	}
	return hooks, nil
}

// caller checks the settings and copies them.
func (h HTTPHooks) caller() (*hookCaller, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if h.URL == "" && h.ServiceMessageURL == "" {
		bad("URL is empty")
	}
	checkHookURL(bad, "URL", h.URL)
	checkHookURL(bad, "ServiceMessageURL", h.ServiceMessageURL)
	for _, name := range h.Only {
		if !slices.Contains(HookNames(), name) {
			bad("Only: there is no hook %q", name)
		}
	}
	if h.Timeout < 0 {
		bad("Timeout is negative")
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("server: invalid HTTP hooks: %w", errors.Join(errs...))
	}
	h.URL = strings.TrimSuffix(h.URL, "/")
	h.Header = h.Header.Clone()
	if h.Client == nil {
		h.Client = new(http.Client)
	}
	if h.Timeout == 0 {
		h.Timeout = defaultHTTPHookTimeout
	}
	if h.Logger == nil {
		h.Logger = slog.New(slog.DiscardHandler)
	}
	return &hookCaller{h}, nil
}

// checkHookURL does not repeat the URL: it may hold a secret.
func checkHookURL(bad func(string, ...any), name, value string) {
	if value == "" {
		return
	}
	if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad("%s is not a URL with scheme http or https and a host", name)
	}
}

// hookCaller calls the endpoints. It has no state.
type hookCaller struct{ HTTPHooks }

// ask posts params to a hook and reads its decision.
func (c *hookCaller) ask(ctx context.Context, app, name string, params, decision any) error {
	answer, err := c.post(ctx, app, c.URL+"/"+name, params)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if answer = bytes.TrimSpace(answer); len(answer) == 0 {
		return nil
	}
	var wrapped struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(answer, &wrapped); err != nil {
		return fmt.Errorf("%s: decode answer: %w", name, err)
	}
	if r := wrapped.Result; len(r) > 0 {
		if r[0] != '{' { // a function that returns nothing in particular
			return nil
		}
		answer = r
	}
	if err := json.Unmarshal(answer, decision); err != nil {
		return fmt.Errorf("%s: decode answer: %w", name, err)
	}
	return nil
}

// tell posts params to a hook that only listens.
func (c *hookCaller) tell(ctx context.Context, app, name string, params any) {
	if _, err := c.post(ctx, app, c.URL+"/"+name, params); err != nil {
		c.Logger.LogAttrs(ctx, slog.LevelWarn, "hook failed", slog.String("hook", name), slog.Any("error", err))
	}
}

// post makes one request. Its errors do not name the URL.
func (c *hookCaller) post(ctx context.Context, app, to string, params any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	body, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	for key, values := range c.Header {
		req.Header[key] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-LC-Id", app)
	resp, err := c.Client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxHookAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	case len(answer) > maxHookAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxHookAnswer)
	}
	return answer, nil
}

// hookContent is the content of a message in a hook.
type hookContent struct {
	Bin     bool   `json:"bin"`
	Content string `json:"content"`
}

func contentOf(c Content) hookContent {
	if c.Binary {
		return hookContent{true, base64.StdEncoding.EncodeToString([]byte(c.Data))}
	}
	return hookContent{false, c.Data}
}

// list is never null in JSON.
func list(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}
