package metrics

import "github.com/leanrtm/realtime/server"

// field is one of server.Stats as a metric. One of the functions is set.
type field struct {
	name, typ, help string
	number          func(s *server.Stats) string
	byCode          func(s *server.Stats) map[int]uint64
	byName          func(s *server.Stats) map[string]uint64
}

func count(name, help string, of func(s *server.Stats) uint64) field {
	return field{name: name, typ: counter, help: help, number: func(s *server.Stats) string { return integer(of(s)) }}
}

func level(name, help string, of func(s *server.Stats) int64) field {
	return field{name: name, typ: gauge, help: help, number: func(s *server.Stats) string { return integer(of(s)) }}
}

// fields lists all metrics, in the order of server.Stats.
func fields() []field {
	type st = server.Stats
	return []field{
		level("rtm_connections", "WebSocket connections open now.", func(s *st) int64 { return s.Connections }),
		count("rtm_connections_accepted_total", "WebSocket connections that were opened.", func(s *st) uint64 { return s.ConnectionsAccepted }),
		count("rtm_connections_refused_total", "WebSocket upgrades answered with an HTTP error.", func(s *st) uint64 { return s.ConnectionsRefused }),
		{
			name: "rtm_disconnects_total", typ: counter, help: "Ended connections by the close code of the server; 0: the peer ended it or was gone.",
			byCode: func(s *st) map[int]uint64 { return s.Disconnects },
		},
		count("rtm_slow_consumers_total", "Connections closed because the peer did not take what waited for it.", func(s *st) uint64 { return s.SlowConsumers }),

		level("rtm_sessions", "Sessions open now.", func(s *st) int64 { return s.Sessions }),
		count("rtm_logins_total", "Logins that were granted.", func(s *st) uint64 { return s.Logins }),
		count("rtm_logins_resumed_total", "Logins of clients that came back after a lost connection.", func(s *st) uint64 { return s.LoginsResumed }),
		count("rtm_logins_failed_total", "Logins that were refused.", func(s *st) uint64 { return s.LoginsFailed }),

		{
			name: "rtm_commands_total", typ: counter, help: "Commands received from clients.",
			byName: func(s *st) map[string]uint64 { return s.Commands },
		},
		{
			name: "rtm_refusals_total", typ: counter, help: "Commands answered with an error, by its code.",
			byCode: func(s *st) map[int]uint64 { return s.Refusals },
		},
		count("rtm_rate_limited_total", "Commands refused because their client sent too many.", func(s *st) uint64 { return s.RateLimited }),
		count("rtm_panics_total", "Commands that ended their connection by a mistake in the program.", func(s *st) uint64 { return s.Panics }),
		count("rtm_messages_total", "Messages accepted, transient ones included.", func(s *st) uint64 { return s.Messages }),

		count("rtm_frames_received_total", "Frames received.", func(s *st) uint64 { return s.FramesIn }),
		count("rtm_bytes_received_total", "Bytes in received frames.", func(s *st) uint64 { return s.BytesIn }),
		count("rtm_frames_sent_total", "Frames sent.", func(s *st) uint64 { return s.FramesOut }),
		count("rtm_bytes_sent_total", "Bytes sent, with framing.", func(s *st) uint64 { return s.BytesOut }),
		count("rtm_writes_total", "Calls to the network that sent the frames.", func(s *st) uint64 { return s.Writes }),

		level("rtm_queue_frames", "Frames that wait for slow receivers.", func(s *st) int64 { return s.QueueFrames }),
		level("rtm_queue_bytes", "Bytes that wait for slow receivers.", func(s *st) int64 { return s.QueueBytes }),
		count("rtm_dropped_room_normal_total", "Chat room messages of normal priority that slow receivers did not get.", func(s *st) uint64 { return s.DroppedRoomNormal }),
		count("rtm_dropped_low_total", "Transient messages and those of low priority that slow receivers did not get.", func(s *st) uint64 { return s.DroppedLow }),

		count("rtm_commit_calls_total", "Calls that wrote to the store.", func(s *st) uint64 { return s.CommitCalls }),
		count("rtm_commits_total", "Batches written to the store.", func(s *st) uint64 { return s.Commits }),
		count("rtm_commit_failures_total", "Batches that the store failed to write.", func(s *st) uint64 { return s.CommitFailures }),
		count("rtm_store_errors_total", "Operations that failed because the store did.", func(s *st) uint64 { return s.StoreErrors }),

		level("rtm_cached_conversations", "Conversations in memory.", func(s *st) int64 { return s.CachedConversations }),
		count("rtm_cache_hits_total", "Conversations found in memory.", func(s *st) uint64 { return s.CacheHits }),
		count("rtm_cache_misses_total", "Conversations that had to be loaded.", func(s *st) uint64 { return s.CacheMisses }),

		count("rtm_hook_calls_total", "Calls of hooks that have ended.", func(s *st) uint64 { return s.HookCalls }),
		count("rtm_hook_failures_total", "Calls of hooks that failed.", func(s *st) uint64 { return s.HookFailures }),
		level("rtm_hooks_waiting", "Calls of listening hooks that wait.", func(s *st) int64 { return s.HooksWaiting }),
		count("rtm_hooks_dropped_total", "Calls of listening hooks that were given up.", func(s *st) uint64 { return s.HooksDropped }),
		{
			name: "rtm_watermark_lag_seconds", typ: gauge, help: "How long the slowest operation in flight has been running.",
			number: func(s *st) string { return float(s.WatermarkLag.Seconds()) },
		},
	}
}
