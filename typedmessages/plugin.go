package typedmessages

import (
	"context"

	"github.com/leanrtm/realtime"
)

// Option changes what [Plugin] does.
type Option interface{ apply(o *options) }

type options struct{ uploader FileUploader }

type option func(o *options)

func (f option) apply(o *options) { f(o) }

// WithUploader stores files with u instead of the app's file storage.
func WithUploader(u FileUploader) Option { return option(func(o *options) { o.uploader = u }) }

// Plugin registers the message types and uploads the files of outgoing
// messages before they are sent. Without [WithUploader] files go to the file
// storage of the app that sends. Safe to use for several Realtimes.
func Plugin(opts ...Option) realtime.Plugin {
	var o options
	for _, opt := range opts {
		opt.apply(&o)
	}
	return realtime.Plugin{
		Name: "typedmessages",
		MessageTypes: []realtime.Content{
			&ImageMessage{}, &AudioMessage{}, &VideoMessage{}, &LocationMessage{}, &FileMessage{},
		},
		BeforeSend: func(ctx context.Context, out *realtime.Outgoing) error {
			u := o.uploader
			if u == nil {
				u = LeanCloudUploader(out.Do)
			}
			return uploadContent(ctx, out, u)
		},
	}
}

// uploadContent replaces a content that carries a file by a copy with the
// stored file. The caller's own is not touched: it may go to two conversations
// at a time.
func uploadContent(ctx context.Context, out *realtime.Outgoing, u FileUploader) error {
	switch m := out.Content.(type) {
	case *ImageMessage:
		c := *m
		return replace(ctx, out, u, &c, &c.File)
	case *AudioMessage:
		c := *m
		return replace(ctx, out, u, &c, &c.File)
	case *VideoMessage:
		c := *m
		return replace(ctx, out, u, &c, &c.File)
	case *FileMessage:
		c := *m
		return replace(ctx, out, u, &c, &c.File)
	}
	return nil
}

func replace(ctx context.Context, out *realtime.Outgoing, u FileUploader, c realtime.Content, f *File) error {
	stored, err := f.Save(ctx, u)
	if err != nil {
		return err
	}
	*f = stored
	out.Content = c
	return nil
}
