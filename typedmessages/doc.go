// Package typedmessages has the message types that carry a file or a place:
// image, audio, video, file and location, as the official SDKs write and read
// them.
//
// Attach them with [Plugin]:
//
//	rt, err := realtime.New(realtime.Options{
//		// …
//		Plugins: []realtime.Plugin{typedmessages.Plugin()},
//	})
//
// A [File] is a plain value. One made by [NewFile] or [OpenFile] is uploaded by
// the first Send that carries it, before the message leaves, and what the
// content says of itself (type, size, width and height, duration) goes into the
// message. One with a URL, made by [FileWithURL] or as a literal, is never
// uploaded. If the upload fails, Send fails and no message was sent.
//
// # What an upload does
//
//	new ──first Send──> uploading ──success──> uploaded: later sends reuse the result
//	                        │
//	                        └─failure──> new, if the source can be read again
//	                                     spent, if it cannot: every later Send fails
//
// The state belongs to the File and its copies together and is guarded by a
// channel that holds one token, so that a Send waiting for another one's upload
// obeys its own ctx. No lock is held while bytes move.
//
// The content decides the type, never the extension or the sender's word,
// unless [WithMIMEType] names one. What cannot be read is left out: a broken
// file is sent as it is, without metadata.
package typedmessages
