package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// logger writes what the program does to standard error, if that is wanted.
func (a *account) logger(env environment) *slog.Logger {
	if !a.verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// client makes a client, for which done logs out and returns what went wrong
// with that. The client is not open yet.
func (a *account) client(ctx context.Context, as string, env environment) (c *realtime.IMClient, done func() error, err error) {
	if err := needed(setting{"app-id", a.appID}, setting{flagAppKey, a.appKey}, setting{"as", as}, setting{"server", a.server}); err != nil {
		return nil, nil, err
	}
	rt, err := realtime.New(realtime.Options{AppID: a.appID, AppKey: a.appKey, Server: a.server, Logger: a.logger(env)})
	if err != nil {
		return nil, nil, usageError{err}
	}
	return rt.NewIMClient(as), func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if err := rt.Close(ctx); err != nil {
			return fmt.Errorf("log out: %w", err)
		}
		return nil
	}, nil
}

// open logs a client in.
func (a *account) open(ctx context.Context, c *realtime.IMClient) error {
	if err := c.Open(ctx); err != nil {
		return fmt.Errorf("log in to %s as %s: %w", a.server, c.ID(), err)
	}
	return nil
}

// administer makes an administrator, and done, which closes its connections.
func (a *account) administer(env environment, quota *admin.Quota) (c *admin.Client, done func(), err error) {
	if err := needed(setting{"app-id", a.appID}, setting{flagMasterKey, a.masterKey}, setting{"server", a.server}); err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: maxParallel,
	}
	c, err = admin.New(admin.Options{
		AppID: a.appID, MasterKey: a.masterKey, Server: a.server, Quota: quota,
		HTTPClient: &http.Client{Transport: transport}, Logger: a.logger(env),
	})
	if err != nil {
		return nil, nil, usageError{err}
	}
	return c, transport.CloseIdleConnections, nil
}

// quotaFlag is a quota of the cloud by its name.
func quotaByName(name string) (*admin.Quota, error) {
	switch name {
	case "", "none":
		return nil, nil //nolint:nilnil // unlimited
	case "production":
		return admin.ProductionQuota(), nil
	case "development":
		return admin.DevelopmentQuota(), nil
	}
	return nil, usagef("--quota %q: must be none, development or production", name)
}

// find looks a conversation up, of whatever kind.
func find(ctx context.Context, c *admin.Client, id string) (realtime.ConversationInfo, error) {
	if id == "" {
		return realtime.ConversationInfo{}, usagef("the id of the conversation is empty")
	}
	for info, err := range c.AllConversations(ctx, admin.Query{Where: map[string]any{"objectId": id}}) {
		if err != nil {
			return info, fmt.Errorf("find conversation %s: %w", id, err)
		}
		return info, nil
	}
	return realtime.ConversationInfo{}, fmt.Errorf("find conversation %s: %w", id, realtime.ErrConversationNotFound)
}

// ended is why a session is over.
func ended(c *realtime.IMClient) error {
	err := c.Err()
	if err == nil {
		err = errors.New("no reason was given")
	}
	return fmt.Errorf("the server has ended the session: %w", err)
}
