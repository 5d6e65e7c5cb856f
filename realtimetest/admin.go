package realtimetest

import "github.com/leanrtm/realtime/admin"

// AdminOptions are for code under test that administers the app: admin.New with
// them reaches this server with the master key. What is not about reaching it
// may be changed.
func (s *Server) AdminOptions() admin.Options {
	return admin.Options{
		AppID: s.AppID, MasterKey: s.MasterKey, Server: s.URL,
		HTTPClient: s.client,
		Logger:     s.log.logger().With("from", "admin"),
	}
}

// Admin is a client that administers the app of this server. If the server was
// given an app without a master key, the test fails at once.
func (s *Server) Admin() *admin.Client {
	s.tb.Helper()
	c, err := admin.New(s.AdminOptions())
	if err != nil {
		s.tb.Fatalf("realtimetest: administer the server: %v", err)
	}
	return c
}
