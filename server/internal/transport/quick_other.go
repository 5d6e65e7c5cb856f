//go:build !unix

package transport

import "net"

// quick is not possible here: the writer goroutine writes everything.
type quick struct{}

func (*quick) init(net.Conn)    {}
func (*quick) possible() bool   { return false }
func (*quick) write([]byte) int { return 0 }
