// Package pb holds the generated code of the wire schema. Nothing but
// internal packages and the server use it: its types never appear in an
// exported signature.
package pb

//go:generate go -C ../../tools run ./genpb -name github.com/leanrtm/realtime/internal/pb/rtm.proto -out ../internal/pb ../internal/pb/rtm.proto
