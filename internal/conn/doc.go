// Package conn is one WebSocket connection to the server. It lives once: it is
// dialled, it dies with one cause, and it never comes back.
//
// # Goroutines
//
// The reader reads and decodes frames and hands them to OnCommand, which must
// not block. The writer takes frames from a bounded queue, sends heartbeats and
// watches for silence. Nobody else touches the socket, so a caller whose
// context ends while its frame is under way disturbs nobody: a context given
// to the WebSocket library would kill the connection. A write that does not
// finish in time is ended by a timer, whose function counts as a goroutine of
// the connection while it is armed.
//
// # End
//
// The first of these decides the cause: the server's close frame, an error of
// the socket, a frame that cannot be decoded or is too long, silence, a write
// that takes too long, Kill, Close. All but Close then shut the socket under
// the library, which makes reader and writer return. Close lets the writer
// empty the queue and shake hands with the server first, within a budget,
// after which it does the same. Done is closed by whoever leaves last, so that
// afterwards no OnCommand runs.
package conn
