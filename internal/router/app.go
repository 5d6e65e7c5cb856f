package router

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// appRoute is what the app router knows, as base URLs.
type appRoute struct{ rtmRouter, api string }

// The regions of apps, told by the end of the id, with their app routers and
// the domains under which the servers of an app are when it cannot be asked.
const (
	regionGlobal = "-MdYXbMMI"
	regionEast   = "-9Nh9j0Va"

	appRouterGlobal = "https://app-router.com"
	appRouterChina  = "https://app-router.leancloud.cn"

	domainGlobal = "lncldglobal.com"
	domainEast   = "lncldapi.com"
	domainNorth  = "lncld.net"

	appPrefix  = 8 // characters of the id that name the app in its domain
	defaultTTL = 3600
)

// app asks the app router. If that fails the names that follow from the id are
// taken, and next time it is asked again.
func (r *Router) app(ctx context.Context) (appRoute, error) {
	app, err := r.apps.get(ctx, r.askAppRouter)
	if err == nil {
		return app, nil
	}
	if ctx.Err() != nil {
		return appRoute{}, err
	}
	guess := guessApp(r.o.AppID)
	r.o.Logger.LogAttrs(ctx, slog.LevelWarn, "the app router cannot be asked",
		slog.Any("err", err), slog.String("instead", guess.rtmRouter))
	return guess, nil
}

func (r *Router) askAppRouter(ctx context.Context) (appRoute, time.Duration, error) {
	base := appRouterChina
	if strings.HasSuffix(r.o.AppID, regionGlobal) {
		base = appRouterGlobal
	}
	var answer struct {
		RTMRouter string   `json:"rtm_router_server"`
		API       string   `json:"api_server"`
		TTL       *float64 `json:"ttl"`
	}
	if err := r.get(ctx, base+"/2/route?"+url.Values{"appId": {r.o.AppID}}.Encode(), &answer); err != nil {
		return appRoute{}, 0, err
	}
	if answer.RTMRouter == "" {
		return appRoute{}, 0, errors.New("the answer names no RTM router")
	}
	ttl := float64(defaultTTL)
	if answer.TTL != nil {
		ttl = *answer.TTL
	}
	return appRoute{
		rtmRouter: normalize(answer.RTMRouter),
		api:       cmp.Or(normalize(answer.API), guessApp(r.o.AppID).api),
	}, seconds(ttl), nil
}

// guessApp returns the names that follow from the id of an app.
func guessApp(id string) appRoute {
	domain := domainNorth
	switch {
	case strings.HasSuffix(id, regionGlobal):
		domain = domainGlobal
	case strings.HasSuffix(id, regionEast):
		domain = domainEast
	}
	prefix := strings.ToLower(id[:min(len(id), appPrefix)])
	return appRoute{
		rtmRouter: "https://" + prefix + ".rtm." + domain,
		api:       "https://" + prefix + ".api." + domain,
	}
}
