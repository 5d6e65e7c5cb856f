// Package session keeps the sessions of the process: who is logged in on which
// connection, and which pushes go where.
package session
