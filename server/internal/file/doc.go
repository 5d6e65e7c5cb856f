// Package file is the file storage of the server: what the storage SDKs and
// the file messages need of it, and nothing else.
//
// # The life of a file
//
//	fileTokens ──> granted ──PUT──> stored ──fileCallback{result: false} or DELETE──> gone
//	                  └─ the token expires: forgotten
//	POST files{url} ──> recorded: an external file, of which only the record is kept
//
// A grant lives in memory only, bounded in number and in time: a client that
// asks for tokens and never uploads leaves nothing behind. The record is
// written after the bytes: a file that can be found can be read. If the record
// cannot be written the bytes are removed again.
//
// The mutex guards the map of grants alone. No lock is held while bytes move
// or a store works.
//
// # Serving what users have uploaded
//
// Files are served from the server's own origin, so nothing may run in it:
// only pictures, sound and film that no browser executes are shown in place,
// all else is a download; the type is never guessed by the browser; and a
// sandbox policy applies to whatever is opened directly.
package file
