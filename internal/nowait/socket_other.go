//go:build !unix

package nowait

import "net"

// socket is not possible here.
type socket struct{}

func (*socket) init(net.Conn)    {}
func (*socket) possible() bool   { return false }
func (*socket) write([]byte) int { return 0 }
